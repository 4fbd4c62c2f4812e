#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ztunnel-lite/hbone/headers.h"
#include "ztunnel-lite/proxy/connect_headers.h"
#include "ztunnel-lite/proxy/proxy_header.h"
#include "ztunnel-lite/proxy/route.h"

// The headers of a CONNECT as any peer of the mesh may send them, one "name=value" a line, through
// everything that is done with them short of a socket.
namespace ambit::proxy {
namespace {

void Expect(bool condition) {
  if (!condition) std::abort();
}

state::WorkloadPtr Pod(const char* uid, const char* ip) {
  auto pod = std::make_shared<state::Workload>();
  pod->uid = uid;
  pod->name = uid;
  pod->ns = "a";
  pod->addresses = {net::IpAddress::Parse(ip).value()};
  pod->services = {{"a/s.a", {{80, 8080}}}};
  return pod;
}

const state::MeshState& Mesh() {
  static const state::MeshState* mesh = [] {
    auto* made = new state::MeshState;
    auto service = std::make_shared<state::Service>();
    service->name = "s";
    service->ns = "a";
    service->hostname = "s.a";
    service->vips = {{"", net::IpAddress::Parse("10.96.0.1").value()}};
    service->ports = {{80, 8080}, {81, 0}};
    made->Upsert(state::ServicePtr(service));
    made->Upsert(Pod("p", "10.0.0.1"));
    auto behind = std::make_shared<state::Workload>(*Pod("q", "10.0.0.2"));
    behind->waypoint = state::GatewayAddress{
        state::NetworkAddress{"", net::IpAddress::Parse("10.96.0.1").value()}, 15008};
    made->Upsert(state::WorkloadPtr(behind));
    return made;
  }();
  return *mesh;
}

bool IsHeaderText(std::string_view text) {
  return std::ranges::all_of(text,
                             [](unsigned char c) { return c == 0x09 || (c >= 0x20 && c < 0x7f); });
}

void Route(const hbone::ConnectRequest& request, const state::WorkloadPtr& local) {
  const std::string host = ForwardedHost(request.forwarded.value_or(""));
  Expect(host.find('\n') == std::string::npos && host.find(';') == std::string::npos);
  auto route = RouteInbound(Mesh(), {.local = local,
                                     .network = request.x_forwarded_network.value_or(""),
                                     .authority = request.authority,
                                     .connection_destination = {local->addresses[0], 15008},
                                     .forwarded_host = host});
  if (!route) return;
  Expect(route->app.port != 0);
  Expect(!request.authority.empty());
  if (!route->proxy_header) return;
  auto header = ProxyHeader({local->addresses[0], 1}, route->proxy_header->endpoint, "spiffe://a",
                            route->proxy_header->service_hostname);
  Expect(header.size() >= 16);
}

void Run(std::string_view text) {
  hbone::HeaderBlock block(65536);
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    block.Add(line.substr(0, equals), line.substr(equals + 1));
  }
  const auto& request = block.request();
  if (auto peer = WorkloadOfBaggage(request.baggage, "spiffe://cluster.local/ns/a/sa/b")) {
    Expect(peer->ns == "a" || peer->ns.size() <= 253);
    Expect(IsHeaderText(BaggageOf(*peer)));
  }
  Route(request, Mesh().FindWorkload("p"));
  auto waypoint = std::make_shared<state::Workload>(*Mesh().FindWorkload("p"));
  waypoint->application_tunnel = state::ApplicationTunnel{.proxy_protocol = true, .port = 9000};
  Route(request, waypoint);
  // What goes out again is again a header.
  if (IsHeaderText(request.authority)) {
    Expect(!hbone::ToHeaderList(request).empty());
  }
}

}  // namespace
}  // namespace ambit::proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ambit::proxy::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
