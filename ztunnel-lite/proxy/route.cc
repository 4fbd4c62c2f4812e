#include "ztunnel-lite/proxy/route.h"

#include <algorithm>
#include <iterator>
#include <random>

#include "ztunnel-lite/proxy/upstream.h"

namespace ambit::proxy {

using state::GatewayAddress;
using state::MeshState;
using state::NetworkAddress;
using state::ServicePtr;

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

class OutboundRouter {
 public:
  OutboundRouter(const MeshState& mesh, const OutboundRequest& request, Random& random)
      : mesh_(mesh), request_(request), random_(random), finder_(mesh, request, random) {}

  Result<OutboundRoute> Route();

 private:
  const state::Workload& source() const { return *request_.source; }
  Result<OutboundRoute> RouteUpstream(const Upstream& upstream, const ServicePtr& target);
  Result<OutboundRoute> ViaWaypoint(const GatewayAddress& waypoint, const ServicePtr& target,
                                    const ServicePtr& reported);
  Result<OutboundRoute> ViaGateway(const Upstream& upstream, const ServicePtr& target);
  Result<OutboundRoute> Direct(const Upstream& upstream);
  OutboundRoute Passthrough() const;
  // A route to the HBONE port of a hop in between.
  OutboundRoute ToHop(Carrier carrier, const Upstream& hop, const Whereabouts& where) const;
  void SetNextHop(OutboundRoute& route, const Whereabouts& where, uint16_t port) const;
  const GatewayAddress* PickWaypoint(const state::Service& service);

  const MeshState& mesh_;
  const OutboundRequest& request_;
  Random& random_;
  UpstreamFinder finder_;
};

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

void OutboundRouter::SetNextHop(OutboundRoute& route, const Whereabouts& where,
                                uint16_t port) const {
  route.next_hop = {where.address, port};
  if (where.hostname.empty()) return;
  route.resolve = {.hostname = where.hostname,
                   .preferred = request_.destination.address.family(),
                   .authority_port = 0};
}

OutboundRoute OutboundRouter::ToHop(Carrier carrier, const Upstream& hop,
                                    const Whereabouts& where) const {
  OutboundRoute route;
  route.carrier = carrier;
  SetNextHop(route, where, hop.port);
  route.expected_sans = hop.ExpectedSans();
  route.destination = hop.workload;
  return route;
}

Result<OutboundRoute> OutboundRouter::ViaWaypoint(const GatewayAddress& waypoint,
                                                  const ServicePtr& target,
                                                  const ServicePtr& reported) {
  auto upstream = finder_.Resolve(waypoint, "waypoint", PortRule::kDeclaredOrAppTunnel);
  if (!upstream) return std::unexpected(upstream.error());
  if (upstream->workload->network != source().network) return ViaGateway(*upstream, target);
  auto where = finder_.Locate(*upstream, waypoint);
  if (!where) return std::unexpected(where.error().Wrap("waypoint " + NameOf(waypoint)));
  auto route = ToHop(Carrier::kHbone, *upstream, *where);
  route.authority = request_.destination.ToString();
  route.service = reported;
  return route;
}

// The gateway takes the outer tunnel and hands what is in it to an endpoint of the service, or to
// its waypoint, so that only the service's names say who may answer the inner one.
Result<OutboundRoute> OutboundRouter::ViaGateway(const Upstream& upstream,
                                                 const ServicePtr& target) {
  const state::Workload& workload = *upstream.workload;
  const std::string away = "no valid destination: workload " + workload.uid + " is on network \"" +
                           workload.network + "\"";
  if (!target) {
    return Fail(ErrorCode::kInvalidArgument, away + ", which is reached through services only");
  }
  if (!workload.network_gateway) {
    return Fail(ErrorCode::kInvalidArgument, away + " and has no network gateway");
  }
  auto gateway = finder_.Resolve(*workload.network_gateway, "gateway", PortRule::kDeclared);
  if (!gateway) return std::unexpected(gateway.error());
  auto where = finder_.Locate(*gateway, *workload.network_gateway);
  if (!where) {
    return std::unexpected(where.error().Wrap("gateway " + NameOf(*workload.network_gateway)));
  }
  auto route = ToHop(Carrier::kDoubleHbone, *gateway, *where);
  route.authority = target->hostname + ":" + std::to_string(request_.destination.port);
  if (upstream.service) route.inner_sans = SpiffeNames(*upstream.service);
  route.service = target;
  return route;
}

Result<OutboundRoute> OutboundRouter::Direct(const Upstream& upstream) {
  auto where = finder_.Locate(upstream, request_.destination.address);
  if (!where) return std::unexpected(where.error());
  OutboundRoute route;
  route.destination = upstream.workload;
  route.service = upstream.service;
  SetNextHop(route, *where, upstream.port);
  if (upstream.workload->tunnel_protocol != state::TunnelProtocol::kHbone) return route;
  route.carrier = Carrier::kHbone;
  route.next_hop.port = kHbonePort;
  route.expected_sans = upstream.ExpectedSans();
  if (route.resolve) {
    route.resolve->authority_port = upstream.port;
  } else {
    route.authority = net::Endpoint{where->address, upstream.port}.ToString();
  }
  return route;
}

Result<OutboundRoute> OutboundRouter::RouteUpstream(const Upstream& upstream,
                                                    const ServicePtr& target) {
  const state::Workload& workload = *upstream.workload;
  if (workload.network != source().network) return ViaGateway(upstream, target);
  if (!target && workload.waypoint && !finder_.ComesFrom(*workload.waypoint)) {
    return ViaWaypoint(*workload.waypoint, nullptr, upstream.service);
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
      return ViaWaypoint(*waypoint, target, target);
    }
  }
  Lookup lookup = finder_.Find(address, destination.port, PortRule::kDeclared);
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

std::vector<std::string> SpiffeNames(const state::Service& service) {
  std::vector<std::string> names;
  for (const auto& san : service.subject_alt_names) {
    if (state::Identity::Parse(san)) names.push_back(san);
  }
  return names;
}

Result<OutboundRoute> RouteOutbound(const MeshState& mesh, const OutboundRequest& request,
                                    Random& random) {
  return OutboundRouter(mesh, request, random).Route();
}

OutboundRoute WithAddress(OutboundRoute route, std::span<const net::IpAddress> addresses,
                          Random& random) {
  auto preferred = [&](const net::IpAddress& address) {
    return address.family() == route.resolve->preferred;
  };
  std::vector<net::IpAddress> choice;
  std::ranges::copy_if(addresses, std::back_inserter(choice), preferred);
  if (choice.empty()) choice.assign(addresses.begin(), addresses.end());
  route.next_hop.address = choice[random.Below(choice.size())];
  if (uint16_t port = route.resolve->authority_port; port != 0) {
    route.authority = net::Endpoint{route.next_hop.address, port}.ToString();
  }
  route.resolve.reset();
  return route;
}

}  // namespace ambit::proxy
