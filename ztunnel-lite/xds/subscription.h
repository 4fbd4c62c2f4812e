#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "proto/discovery.pb.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  the delta discovery protocol without I/O: what to ask, what an answer means, what to
//          reply. Holds names and versions over reconnects, so that only differences are sent
//          again.
// Threads  one.
// Source   https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (incremental).
namespace ambit::xds {

inline constexpr char kAddressType[] = "type.googleapis.com/istio.workload.Address";
inline constexpr char kAuthorizationType[] = "type.googleapis.com/istio.security.Authorization";

using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

// One answer's worth of change: upserts in order, then removals.
struct Update {
  std::vector<std::variant<state::WorkloadPtr, state::ServicePtr, state::PolicyPtr>> upserts;
  std::vector<std::string> removed_addresses;
  std::vector<std::string> removed_policies;

  void ApplyTo(state::MeshState& mesh) const;
};

class Subscription {
 public:
  explicit Subscription(envoy::service::discovery::v3::Node node) : node_(std::move(node)) {}

  // The first requests of a stream: all addresses, then all policies, with the versions held.
  std::vector<Request> Open() const;

  struct Handled {
    Update update;
    Request reply;         // to be sent after `update` was applied
    std::string rejected;  // "name: reason; ..." of what was left out, empty if nothing
  };
  // Resources that are good are taken even if others of the same answer are not.
  Handled Handle(const Response& response);

  // Both types have been answered without a rejection once.
  bool synced() const {
    return types_.at(kAddressType).synced && types_.at(kAuthorizationType).synced;
  }

 private:
  struct Type {
    std::unordered_map<std::string, std::string> versions;
    bool synced = false;
  };

  envoy::service::discovery::v3::Node node_;
  std::map<std::string, Type> types_{{kAddressType, {}}, {kAuthorizationType, {}}};
};

}  // namespace ambit::xds
