#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ztunnel-lite/proxy/balance.h"
#include "ztunnel-lite/proxy/route.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  what stands behind an address or a name of the mesh, for one client: pure lookups.
namespace ambit::proxy {

// A workload to connect to, before its address is chosen.
struct Upstream {
  state::WorkloadPtr workload;
  uint16_t port = 0;
  state::ServicePtr service;  // through which it was found, null if by its own address

  // Who may answer: the service's names that are SPIFFE ids, then the workload's own.
  std::vector<std::string> ExpectedSans() const;
};

// What is found at an address or name: nothing, a service without a usable endpoint, a service that
// wants its traffic untouched, or a workload.
struct Lookup {
  bool passthrough = false;
  std::optional<Upstream> upstream;
};

// Where a workload is: an address, or a hostname that has to be resolved first.
struct Whereabouts {
  net::IpAddress address;
  std::string hostname;  // empty: `address` is known
};

class UpstreamFinder {
 public:
  // All outlive the object.
  UpstreamFinder(const state::MeshState& mesh, const OutboundRequest& request, Random& random)
      : mesh_(mesh), request_(request), random_(random) {}

  // A service at the address, else a workload.
  Lookup Find(const state::NetworkAddress& address, uint16_t port, PortRule rule);

  // What a reference of the control plane leads to. `kind` is "waypoint" or "gateway", for the
  // error: "unknown <kind>".
  Result<Upstream> Resolve(const state::GatewayAddress& reference, std::string_view kind,
                           PortRule rule);
  // Its address: of the family of the reference, where that is an address, else of what the client
  // called.
  Result<Whereabouts> Locate(const Upstream& upstream,
                             const state::GatewayAddress& reference) const;
  // The called address itself if it is the workload's, then one of the same family that the service
  // allows, then any it allows, then its hostname.
  Result<Whereabouts> Locate(const Upstream& upstream, const net::IpAddress& called) const;

  // Whether the client is what the reference leads to: a waypoint that calls a workload behind
  // itself must not be sent to itself.
  bool ComesFrom(const state::GatewayAddress& reference) const;

 private:
  const state::Workload& source() const { return *request_.source; }
  Lookup FromService(const state::ServicePtr& service, uint16_t port, PortRule rule);
  bool IsClient(const state::Workload& workload) const;

  const state::MeshState& mesh_;
  const OutboundRequest& request_;
  Random& random_;
};

// "ns/hostname" or "network/address", for people.
std::string NameOf(const state::GatewayAddress& reference);

}  // namespace ambit::proxy
