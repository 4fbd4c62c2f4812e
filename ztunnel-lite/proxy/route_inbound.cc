#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>

#include "ztunnel-lite/proxy/route.h"

namespace ambit::proxy {

using state::GatewayAddress;
using state::MeshState;
using state::NamespacedHostname;
using state::NetworkAddress;
using state::ServicePtr;
using state::WorkloadPtr;

namespace {

struct Authority {
  std::variant<net::IpAddress, std::string> host;
  uint16_t port = 0;
};

Result<Authority> ParseAuthority(const std::string& text) {
  if (auto endpoint = net::Endpoint::Parse(text); endpoint && endpoint->port != 0) {
    return Authority{endpoint->address, endpoint->port};
  }
  Authority out;
  size_t colon = text.rfind(':');
  bool parsed = false;
  if (colon != std::string::npos && colon > 0) {
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data() + colon + 1, end, out.port);
    parsed = error == std::errc() && stop == end && out.port != 0;
    out.host = text.substr(0, colon);
    parsed = parsed && text.find_first_of("[]: /@", 0) == colon;
  }
  if (!parsed) {
    return Fail(ErrorCode::kInvalidArgument, "authority \"" + text + "\" is not <host>:<port>");
  }
  return out;
}

// Whether the pod is, or is an endpoint of, the waypoint that the reference names.
bool IsWaypoint(const MeshState& mesh, const InboundRequest& request,
                const GatewayAddress& waypoint) {
  ServicePtr service;
  WorkloadPtr workload;
  if (const auto* address = std::get_if<NetworkAddress>(&waypoint.destination)) {
    service = mesh.FindServiceByAddress(*address);
    if (!service) workload = mesh.FindWorkloadByAddress(*address);
  } else {
    const auto& hostname = std::get<NamespacedHostname>(waypoint.destination);
    service = mesh.FindService(hostname);
    if (!service) workload = mesh.FindWorkloadByHostname(hostname);
  }
  if (service) return mesh.HasEndpoint(*service, request.local->uid);
  if (!workload) return false;
  return std::ranges::find(workload->addresses, request.connection_destination.address) !=
         workload->addresses.end();
}

const std::string& NetworkOf(const InboundRequest& request) {
  return request.local->network.empty() ? request.network : request.local->network;
}

// A waypoint takes connections for addresses that are not its own: those that name it.
bool IsWaypointOf(const MeshState& mesh, const InboundRequest& request,
                  const net::IpAddress& address) {
  NetworkAddress target{NetworkOf(request), address};
  std::vector<GatewayAddress> waypoints;
  if (auto workload = mesh.FindWorkloadByAddress(target)) {
    if (workload->waypoint) waypoints.push_back(*workload->waypoint);
  } else if (auto service = mesh.FindServiceByAddress(target)) {
    if (service->waypoint) waypoints.push_back(*service->waypoint);
    for (const auto& weighted : service->weighted_waypoints) {
      waypoints.push_back(weighted.destination);
    }
  }
  return std::ranges::any_of(waypoints, [&](const GatewayAddress& waypoint) {
    return IsWaypoint(mesh, request, waypoint);
  });
}

Result<void> CheckAddress(const MeshState& mesh, const InboundRequest& request,
                          const net::IpAddress& address) {
  if (address == request.connection_destination.address) return {};
  if (request.local->application_tunnel) return {};
  if (IsWaypointOf(mesh, request, address)) return {};
  return Fail(ErrorCode::kInvalidArgument, "ip mismatch: authority " + request.authority +
                                               " is not this pod's " +
                                               request.connection_destination.address.ToString());
}

// The port the pod serves behind `port` of the service; 0 if none.
uint16_t PortBehind(const state::Service& service, const state::Workload& local, uint16_t port) {
  auto membership = local.services.find(service.Key());
  if (membership != local.services.end()) {
    auto own = membership->second.find(port);
    if (own != membership->second.end() && own->second != 0) return own->second;
  }
  auto declared = service.ports.find(port);
  return declared == service.ports.end() ? 0 : declared->second;
}

Result<InboundRoute> RouteHostname(const MeshState& mesh, const InboundRequest& request,
                                   const std::string& hostname, uint16_t port) {
  InboundRoute route;
  route.service = mesh.FindServiceByHostname(hostname, request.local->ns);
  if (!route.service) {
    return Fail(ErrorCode::kUnavailable, "authority names the unknown service " + hostname);
  }
  route.app = {request.connection_destination.address,
               PortBehind(*route.service, *request.local, port)};
  if (route.app.port == 0) {
    return Fail(ErrorCode::kUnavailable, "service " + hostname + " has no target port for " +
                                             std::to_string(port) + " on this pod");
  }
  return route;
}

// What the client called, as an address: of a service the one on our network and IPv4 first.
Result<net::Endpoint> CalledEndpoint(const InboundRequest& request, const Authority& authority,
                                     const ServicePtr& service) {
  if (const auto* address = std::get_if<net::IpAddress>(&authority.host)) {
    return net::Endpoint{*address, authority.port};
  }
  const std::string& network = NetworkOf(request);
  const NetworkAddress* best = nullptr;
  auto rank = [&](const NetworkAddress& vip) {
    return std::pair(vip.network == network, vip.network == network && vip.address.is_v4());
  };
  for (const auto& vip : service->vips) {
    if (best == nullptr || rank(vip) > rank(*best)) best = &vip;
  }
  if (best == nullptr) {
    return Fail(ErrorCode::kUnavailable, "the app wants a PROXY protocol header, and service " +
                                             service->hostname + " has no address to put into it");
  }
  return net::Endpoint{best->address, authority.port};
}

bool SendsTo(const state::Service& service, const state::PortMap& own, uint16_t app_port) {
  auto leads = [app_port](const auto& entry) { return entry.second == app_port; };
  return std::ranges::any_of(service.ports, leads) || std::ranges::any_of(own, leads);
}

}  // namespace

Result<InboundRoute> RouteInbound(const MeshState& mesh, const InboundRequest& request) {
  auto authority = ParseAuthority(request.authority);
  if (!authority) return std::unexpected(authority.error());
  InboundRoute route;
  const auto* address = std::get_if<net::IpAddress>(&authority->host);
  if (address != nullptr) {
    auto checked = CheckAddress(mesh, request, *address);
    if (!checked) return std::unexpected(checked.error());
    route.app = {request.connection_destination.address, authority->port};
  } else {
    auto routed =
        RouteHostname(mesh, request, std::get<std::string>(authority->host), authority->port);
    if (!routed) return routed;
    route = std::move(*routed);
  }
  if (IsOwnPort(route.app.port)) {
    return Fail(ErrorCode::kUnavailable, "the tunnel's own port was called: " + request.authority);
  }
  if (address != nullptr) {
    route.service = GuessService(mesh, *request.local, route.app.port, request.forwarded_host);
  }
  const auto& tunnel = request.local->application_tunnel;
  if (tunnel && tunnel->proxy_protocol) {
    auto called = CalledEndpoint(request, *authority, route.service);
    if (!called) return std::unexpected(called.error());
    bool named =
        address == nullptr || (route.service && route.service->hostname == request.forwarded_host);
    route.proxy_header = {*called, named ? route.service->hostname : std::string()};
  }
  if (tunnel && tunnel->port != 0) route.app.port = tunnel->port;
  return route;
}

ServicePtr GuessService(const MeshState& mesh, const state::Workload& local, uint16_t app_port,
                        std::string_view forwarded_host) {
  ServicePtr by_port;
  for (const auto& [key, ports] : local.services) {
    size_t slash = key.find('/');
    auto service = mesh.FindService({key.substr(0, slash), key.substr(slash + 1)});
    if (!service) continue;
    if (!forwarded_host.empty() && service->hostname == forwarded_host) return service;
    if (!by_port && SendsTo(*service, ports, app_port)) by_port = service;
  }
  return by_port;
}

}  // namespace ambit::proxy
