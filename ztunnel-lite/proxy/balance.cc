#include "ztunnel-lite/proxy/balance.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ambit::proxy {

using state::BalancingMode;
using state::BalancingScope;

namespace {

bool Matches(BalancingScope scope, const state::Workload& a, const state::Workload& b) {
  switch (scope) {
    case BalancingScope::kRegion:
      return a.locality.region == b.locality.region;
    case BalancingScope::kZone:
      return a.locality.zone == b.locality.zone;
    case BalancingScope::kSubzone:
      return a.locality.subzone == b.locality.subzone;
    case BalancingScope::kNode:
      return a.node == b.node;
    case BalancingScope::kCluster:
      return a.cluster_id == b.cluster_id;
    case BalancingScope::kNetwork:
      return a.network == b.network;
  }
  return false;
}

// The endpoint's own mapping, then the service's, then the called port for an application tunnel;
// 0: the endpoint does not serve it.
uint16_t TargetPort(const state::Service& service, uint16_t service_port,
                    const state::Workload& workload, const state::PortMap& ports) {
  auto own = ports.find(service_port);
  if (own != ports.end() && own->second != 0) return own->second;
  auto declared = service.ports.find(service_port);
  if (declared != service.ports.end() && declared->second != 0) return declared->second;
  bool tunnelled = workload.application_tunnel && workload.application_tunnel->port != 0;
  return tunnelled ? service_port : 0;
}

bool HasDestination(const state::Workload& endpoint, const state::Workload& client) {
  if (!endpoint.addresses.empty() || !endpoint.hostname.empty()) return true;
  return endpoint.network != client.network && endpoint.network_gateway.has_value();
}

// On another network only what has a gateway. Without any other endpoint the one that has none is
// chosen all the same, so that the client is told why it cannot be served.
bool IsReachable(const state::Workload& endpoint, const state::Workload& client) {
  return endpoint.network == client.network || endpoint.network_gateway.has_value();
}

bool ServesPort(const state::Service& service, uint16_t service_port, PortRule rule,
                const state::MeshState::EndpointView& endpoint) {
  auto declared = service.ports.find(service_port);
  if (rule == PortRule::kDeclaredOrAppTunnel) {
    return declared != service.ports.end() || endpoint.workload->application_tunnel.has_value();
  }
  if (declared == service.ports.end()) return false;
  // A named port means something only to the endpoints that define it.
  return declared->second != 0 || endpoint.ports->contains(service_port);
}

// Keeps the candidates of the best rank seen so far.
class Candidates {
 public:
  using Rank = std::pair<bool, int>;  // those that can be reached first, then locality

  void Add(Rank rank, const state::MeshState::EndpointView& endpoint, uint16_t port) {
    if (endpoint.workload->capacity == 0) return;
    if (!kept_.empty() && rank < best_) return;
    if (rank > best_ || kept_.empty()) {
      kept_.clear();
      total_ = 0;
      best_ = rank;
    }
    kept_.push_back({&endpoint.workload, port});
    total_ += endpoint.workload->capacity;
  }

  std::optional<ChosenEndpoint> Choose(Random& random) const {
    if (kept_.empty()) return std::nullopt;
    uint64_t draw = random.Below(total_);
    for (const auto& [workload, port] : kept_) {
      if (draw < (*workload)->capacity) return ChosenEndpoint{*workload, port};
      draw -= (*workload)->capacity;
    }
    return std::nullopt;
  }

 private:
  std::vector<std::pair<const state::WorkloadPtr*, uint16_t>> kept_;
  Rank best_{false, 0};
  uint64_t total_ = 0;
};

}  // namespace

// One point per preference that matches, up to the first that does not. A leading NETWORK is worth
// as much as all that follow and does not end the count, so that an endpoint in the own network
// always beats one outside, and among those outside the others still tell.
std::optional<int> LocalityRank(const state::Service& service, const state::Workload& client,
                                const state::Workload& endpoint) {
  bool strict = service.balancing_mode == BalancingMode::kStrict;
  if (!strict && service.balancing_mode != BalancingMode::kFailover) return 0;
  const auto& scopes = service.routing_preference;
  int rank = 0;
  bool all = true;
  for (size_t i = 0; i < scopes.size(); ++i) {
    bool leading_network = i == 0 && scopes[i] == BalancingScope::kNetwork;
    if (Matches(scopes[i], client, endpoint)) {
      rank += leading_network ? static_cast<int>(scopes.size()) : 1;
      continue;
    }
    all = false;
    if (!leading_network) break;
  }
  if (strict && !all) return std::nullopt;
  return rank;
}

std::optional<ChosenEndpoint> ChooseEndpoint(const state::MeshState& mesh,
                                             const state::Service& service, uint16_t service_port,
                                             PortRule rule, const state::Workload& client,
                                             Random& random,
                                             std::span<const std::string> unreachable) {
  std::optional<ChosenEndpoint> chosen;
  mesh.VisitEndpoints(service, [&](std::span<const state::MeshState::EndpointView> endpoints) {
    Candidates candidates;
    for (const auto& endpoint : endpoints) {
      const state::Workload& workload = *endpoint.workload;
      if (!workload.healthy && !service.allow_unhealthy) continue;
      if (!HasDestination(workload, client)) continue;
      if (std::ranges::find(unreachable, workload.uid) != unreachable.end()) continue;
      if (!ServesPort(service, service_port, rule, endpoint)) continue;
      auto rank = LocalityRank(service, client, workload);
      if (!rank) continue;
      uint16_t port = TargetPort(service, service_port, workload, *endpoint.ports);
      if (port == 0) continue;
      candidates.Add({IsReachable(workload, client), *rank}, endpoint, port);
    }
    chosen = candidates.Choose(random);
  });
  return chosen;
}

}  // namespace ambit::proxy
