#include "ztunnel-lite/proxy/route.h"

#include <algorithm>
#include <random>
#include <variant>

#include "ztunnel-lite/proxy/balance.h"

namespace ambit::proxy {

using state::GatewayAddress;
using state::MeshState;
using state::NamespacedHostname;
using state::NetworkAddress;
using state::ServicePtr;
using state::WorkloadPtr;

namespace {

constexpr uint16_t kHbonePort = 15008;

class FastRandom : public Random {
 public:
  uint64_t Below(uint64_t bound) override {
    return std::uniform_int_distribution<uint64_t>(0, bound - 1)(engine_);
  }

 private:
  std::mt19937_64 engine_{std::random_device()()};
};

std::string NameOf(const GatewayAddress& gateway) {
  if (const auto* hostname = std::get_if<NamespacedHostname>(&gateway.destination)) {
    return hostname->ns + "/" + hostname->hostname;
  }
  const auto& address = std::get<NetworkAddress>(gateway.destination);
  return address.network + "/" + address.address.ToString();
}

// A workload to connect to, before its address is chosen.
struct Upstream {
  WorkloadPtr workload;
  uint16_t port = 0;
  ServicePtr service;  // through which it was found, null if by its own address
};

// What is found at an address or name: nothing, a service without a usable endpoint, a service that
// wants its traffic untouched, or a workload.
struct Lookup {
  bool passthrough = false;
  std::optional<Upstream> upstream;
};

class OutboundRouter {
 public:
  OutboundRouter(const MeshState& mesh, const OutboundRequest& request, Random& random)
      : mesh_(mesh), request_(request), random_(random) {}

  Result<OutboundRoute> Route();

 private:
  const state::Workload& source() const { return *request_.source; }
  Result<OutboundRoute> RouteUpstream(const Upstream& upstream, const ServicePtr& target);
  Result<OutboundRoute> ViaWaypoint(const GatewayAddress& waypoint, const ServicePtr& target);
  Result<OutboundRoute> Direct(const Upstream& upstream);
  OutboundRoute Passthrough() const;

  const GatewayAddress* PickWaypoint(const state::Service& service);
  Lookup Find(const NetworkAddress& address, uint16_t port, PortRule rule);
  Lookup FromService(const ServicePtr& service, uint16_t port, PortRule rule);
  Result<Upstream> ResolveWaypoint(const GatewayAddress& waypoint);
  bool ComesFrom(const GatewayAddress& waypoint) const;
  bool IsClient(const state::Workload& workload) const;
  Result<net::IpAddress> ChooseAddress(const Upstream& upstream, const net::IpAddress& wanted);

  const MeshState& mesh_;
  const OutboundRequest& request_;
  Random& random_;
};

std::vector<std::string> ExpectedSans(const Upstream& upstream) {
  std::vector<std::string> sans;
  if (upstream.service) {
    for (const auto& san : upstream.service->subject_alt_names) {
      if (state::Identity::Parse(san)) sans.push_back(san);
    }
  }
  std::string own = upstream.workload->identity().Uri();
  if (std::ranges::find(sans, own) == sans.end()) sans.push_back(std::move(own));
  return sans;
}

bool FamilyAllowed(const ServicePtr& service, const net::IpAddress& address) {
  if (!service) return true;
  if (service->ip_families == state::IpFamilies::kIpv4Only) return address.is_v4();
  if (service->ip_families == state::IpFamilies::kIpv6Only) return !address.is_v4();
  return true;
}

std::unexpected<Error> OtherNetwork(const state::Workload& workload) {
  return Fail(ErrorCode::kUnavailable,
              "workload " + workload.uid + " is on network \"" + workload.network +
                  "\"; reaching it needs a network gateway with HBONE inside HBONE, which is not "
                  "supported");
}

OutboundRoute OutboundRouter::Passthrough() const {
  OutboundRoute route;
  route.next_hop = request_.destination;
  return route;
}

const GatewayAddress* OutboundRouter::PickWaypoint(const state::Service& service) {
  uint64_t total = 0;
  for (const auto& weighted : service.weighted_waypoints) total += weighted.weight;
  if (total > 0) {
    uint64_t draw = random_.Below(total);
    for (const auto& weighted : service.weighted_waypoints) {
      if (draw < weighted.weight) return &weighted.destination;
      draw -= weighted.weight;
    }
  }
  return service.waypoint ? &*service.waypoint : nullptr;
}

Lookup OutboundRouter::FromService(const ServicePtr& service, uint16_t port, PortRule rule) {
  Lookup lookup;
  if (service->balancing_mode == state::BalancingMode::kPassthrough) {
    lookup.passthrough = true;
    return lookup;
  }
  if (auto chosen =
          ChooseEndpoint(mesh_, *service, port, rule, source(), random_, request_.unreachable)) {
    lookup.upstream = Upstream{chosen->workload, chosen->port, service};
  }
  return lookup;
}

Lookup OutboundRouter::Find(const NetworkAddress& address, uint16_t port, PortRule rule) {
  if (auto service = mesh_.FindServiceByAddress(address, source().ns)) {
    return FromService(service, port, rule);
  }
  Lookup lookup;
  if (auto workload = mesh_.FindWorkloadByAddress(address)) {
    lookup.upstream = Upstream{workload, port, nullptr};
  }
  return lookup;
}

Result<Upstream> OutboundRouter::ResolveWaypoint(const GatewayAddress& waypoint) {
  Lookup lookup;
  if (const auto* address = std::get_if<NetworkAddress>(&waypoint.destination)) {
    lookup = Find(*address, waypoint.hbone_port, PortRule::kDeclaredOrAppTunnel);
  } else {
    const auto& hostname = std::get<NamespacedHostname>(waypoint.destination);
    if (auto service = mesh_.FindService(hostname)) {
      lookup = FromService(service, waypoint.hbone_port, PortRule::kDeclaredOrAppTunnel);
    } else if (auto workload = mesh_.FindWorkloadByHostname(hostname)) {
      lookup.upstream = Upstream{workload, waypoint.hbone_port, nullptr};
    }
  }
  if (!lookup.upstream) {
    return Fail(ErrorCode::kUnavailable,
                "unknown waypoint: " + NameOf(waypoint) +
                    " is not known here, or has no healthy endpoint for port " +
                    std::to_string(waypoint.hbone_port));
  }
  return *lookup.upstream;
}

Result<net::IpAddress> OutboundRouter::ChooseAddress(const Upstream& upstream,
                                                     const net::IpAddress& wanted) {
  const auto& addresses = upstream.workload->addresses;
  if (std::ranges::find(addresses, wanted) != addresses.end()) return wanted;
  const net::IpAddress* first = nullptr;
  for (const auto& address : addresses) {
    if (!FamilyAllowed(upstream.service, address)) continue;
    if (address.family() == wanted.family()) return address;
    if (first == nullptr) first = &address;
  }
  if (first != nullptr) return *first;
  const auto& uid = upstream.workload->uid;
  if (addresses.empty() && !upstream.workload->hostname.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "no valid destination: workload " + uid + " has only the hostname " +
                    upstream.workload->hostname + ", and resolving it is not supported");
  }
  return Fail(ErrorCode::kInvalidArgument,
              "no valid destination: workload " + uid +
                  " has no address of a family that the service allows");
}

Result<OutboundRoute> OutboundRouter::ViaWaypoint(const GatewayAddress& waypoint,
                                                  const ServicePtr& target) {
  auto upstream = ResolveWaypoint(waypoint);
  if (!upstream) return std::unexpected(upstream.error());
  if (upstream->workload->network != source().network) return OtherNetwork(*upstream->workload);
  const auto* by_address = std::get_if<NetworkAddress>(&waypoint.destination);
  auto address =
      ChooseAddress(*upstream, by_address ? by_address->address : request_.destination.address);
  if (!address) return std::unexpected(address.error().Wrap("waypoint " + NameOf(waypoint)));
  OutboundRoute route;
  route.carrier = Carrier::kHbone;
  route.next_hop = {*address, upstream->port};
  route.authority = request_.destination.ToString();
  route.expected_sans = ExpectedSans(*upstream);
  route.destination = upstream->workload;
  route.service = target;
  return route;
}

Result<OutboundRoute> OutboundRouter::Direct(const Upstream& upstream) {
  auto address = ChooseAddress(upstream, request_.destination.address);
  if (!address) return std::unexpected(address.error());
  net::Endpoint app{*address, upstream.port};
  OutboundRoute route;
  route.next_hop = app;
  route.destination = upstream.workload;
  route.service = upstream.service;
  if (upstream.workload->tunnel_protocol == state::TunnelProtocol::kHbone) {
    route.carrier = Carrier::kHbone;
    route.next_hop.port = kHbonePort;
    route.authority = app.ToString();
    route.expected_sans = ExpectedSans(upstream);
  }
  return route;
}

bool OutboundRouter::IsClient(const state::Workload& workload) const {
  return workload.identity() == source().identity() &&
         std::ranges::find(workload.addresses, request_.client.address) != workload.addresses.end();
}

// A waypoint that calls a workload behind itself must not be sent to itself.
bool OutboundRouter::ComesFrom(const GatewayAddress& waypoint) const {
  ServicePtr service;
  WorkloadPtr workload;
  if (const auto* address = std::get_if<NetworkAddress>(&waypoint.destination)) {
    service = mesh_.FindServiceByAddress(*address, source().ns);
    if (!service) workload = mesh_.FindWorkloadByAddress(*address);
  } else {
    const auto& hostname = std::get<NamespacedHostname>(waypoint.destination);
    service = mesh_.FindService(hostname);
    if (!service) workload = mesh_.FindWorkloadByHostname(hostname);
  }
  if (workload) return IsClient(*workload);
  if (!service) return false;
  bool found = false;
  mesh_.VisitEndpoints(*service, [&](std::span<const MeshState::EndpointView> endpoints) {
    found = std::ranges::any_of(endpoints,
                                [&](const auto& endpoint) { return IsClient(*endpoint.workload); });
  });
  return found;
}

Result<OutboundRoute> OutboundRouter::RouteUpstream(const Upstream& upstream,
                                                    const ServicePtr& target) {
  const state::Workload& workload = *upstream.workload;
  if (workload.network != source().network) return OtherNetwork(workload);
  if (!target && workload.waypoint && !ComesFrom(*workload.waypoint)) {
    return ViaWaypoint(*workload.waypoint, upstream.service);
  }
  return Direct(upstream);
}

Result<OutboundRoute> OutboundRouter::Route() {
  const net::Endpoint& destination = request_.destination;
  if (destination.address.IsLoopback() && IsOwnPort(destination.port)) {
    return Fail(ErrorCode::kInvalidArgument,
                "the tunnel's own port was called: " + destination.ToString());
  }
  // Both lookups are on the client's own network, as the control plane says it; NETWORK only stands
  // in where the control plane says nothing.
  const std::string& network = source().network.empty() ? request_.network : source().network;
  NetworkAddress address{network, destination.address};
  // A workload that owns the address was called itself, whatever services share the address.
  ServicePtr target;
  if (!mesh_.FindWorkloadByAddress(address)) {
    target = mesh_.FindServiceByAddress(address, source().ns);
  }
  if (target) {
    if (const GatewayAddress* waypoint = PickWaypoint(*target)) {
      return ViaWaypoint(*waypoint, target);
    }
  }
  Lookup lookup = Find(address, destination.port, PortRule::kDeclared);
  if (lookup.upstream) return RouteUpstream(*lookup.upstream, target);
  if (target && !lookup.passthrough) {
    return Fail(ErrorCode::kUnavailable, "no healthy upstream: service " + target->Key() +
                                             " has no endpoint for " + destination.ToString() +
                                             " that is healthy and may be used from here");
  }
  return Passthrough();
}

}  // namespace

std::unique_ptr<Random> MakeRandom() { return std::make_unique<FastRandom>(); }

bool IsOwnPort(uint16_t port) { return port == 15001 || port == 15006 || port == kHbonePort; }

Result<OutboundRoute> RouteOutbound(const MeshState& mesh, const OutboundRequest& request,
                                    Random& random) {
  return OutboundRouter(mesh, request, random).Route();
}

}  // namespace ambit::proxy
