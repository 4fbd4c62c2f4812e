#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ztunnel-lite/proxy/route.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  which endpoint of a service a connection gets.
namespace ambit::proxy {

// Whether the service has to declare the called port. A waypoint that takes its traffic through an
// application tunnel need not.
enum class PortRule : uint8_t { kDeclared, kDeclaredOrAppTunnel };

struct ChosenEndpoint {
  state::WorkloadPtr workload;
  uint16_t port = 0;  // what the workload listens on
};

// Endpoints that can be reached and serve the port; of those the best locality (strict drops all
// others, failover keeps the best there is); of those one at random by capacity. Workloads whose
// uid is in `unreachable` are left out. nullopt: no healthy upstream.
std::optional<ChosenEndpoint> ChooseEndpoint(const state::MeshState& mesh,
                                             const state::Service& service, uint16_t service_port,
                                             PortRule rule, const state::Workload& client,
                                             Random& random,
                                             std::span<const std::string> unreachable = {});

// Places that match the service's preference one after the other, see balance.cc; nullopt: dropped.
std::optional<int> LocalityRank(const state::Service& service, const state::Workload& client,
                                const state::Workload& endpoint);

}  // namespace ambit::proxy
