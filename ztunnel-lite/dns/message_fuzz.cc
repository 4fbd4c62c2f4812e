#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ztunnel-lite/dns/message.h"
#include "ztunnel-lite/dns/resolv_conf.h"
#include "ztunnel-lite/dns/resolve.h"

// A message as a client sends it: through everything that is done to it short of a socket, with the
// rules that hold for every answer. The same bytes as the answer of a resolver, and as a
// resolv.conf.
namespace ambit::dns {
namespace {

void Expect(bool condition) {
  if (!condition) std::abort();
}

const state::MeshState& Mesh() {
  static const state::MeshState* mesh = [] {
    auto* made = new state::MeshState;
    auto add = [made](const char* ns, const char* hostname, const char* vip) {
      auto service = std::make_shared<state::Service>();
      service->ns = ns;
      service->hostname = hostname;
      if (vip != nullptr) service->vips = {{"", net::IpAddress::Parse(vip).value()}};
      made->Upsert(state::ServicePtr(service));
    };
    add("a", "a.a.svc.cluster.local", "10.96.0.1");
    add("a", "b.a.svc.cluster.local", nullptr);
    add("a", "*.a", "10.96.0.2");
    add("a", "a", "fd00::1");
    auto pod = std::make_shared<state::Workload>();
    pod->uid = "uid";
    pod->name = "c";
    pod->ns = "a";
    pod->addresses = {net::IpAddress::Parse("10.0.0.1").value()};
    pod->services = {{"a/b.a.svc.cluster.local", {}}};
    made->Upsert(state::WorkloadPtr(pod));
    return made;
  }();
  return *mesh;
}

void CheckReply(const Bytes& reply, const Query& query, size_t limit) {
  Expect(reply.size() <= limit);
  Expect(Answers(reply, query, query.id()));
  Expect(!ParseQuery(reply));
}

void Serve(const Query& query) {
  auto edns = ParseEdns(query);
  if (!edns) return CheckReply(EncodeFormErr(query.bytes), query, kPlainUdpBytes);
  const size_t limit = UdpLimit(*edns);
  CheckReply(EncodeReply(query, {.rcode = Rcode::kServFail}, *edns, limit), query, limit);
  if (!query.IsForAddress()) return;
  const auto family = query.type == kTypeA ? net::Family::kIpv4 : net::Family::kIpv6;
  auto resolution = Resolve(query.name, family,
                            {.ns = "a", .network = "", .cluster_domain = "cluster.local"}, Mesh());
  Reply reply{.authoritative = true,
              .alias = resolution.alias,
              .addresses = resolution.addresses,
              .negative = resolution.kind == Resolution::Kind::kNoData};
  CheckReply(EncodeReply(query, reply, *edns, limit), query, limit);
  if (reply.addresses.empty()) return;
  reply.addresses.resize(200, reply.addresses.front());
  CheckReply(EncodeReply(query, reply, *edns, limit), query, limit);
}

}  // namespace
}  // namespace ambit::dns

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ambit::dns;
  const ambit::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)ParseResolvConf(ambit::AsText(bytes));
  auto query = ParseQuery(bytes);
  if (query) {
    Serve(*query);
  } else if (query.error() == Fault::kMalformed) {
    Expect(EncodeFormErr(bytes).size() == kHeaderBytes);
  }
  // Two halves: a question, and what a resolver might say to it.
  const ambit::ByteSpan half = bytes.first(size / 2);
  if (auto asked = ParseQuery(half)) (void)Answers(bytes.subspan(size / 2), *asked, asked->id());
  return 0;
}
