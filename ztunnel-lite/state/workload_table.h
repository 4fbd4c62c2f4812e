#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ztunnel-lite/state/mesh_state.h"

// Purpose  workloads by uid, address, pod name and hostname. An update touches only the entries of
//          the one workload, however large the mesh is.
// Threads  none of its own; MeshState locks.
namespace ambit::state {

struct NetworkAddressHash {
  size_t operator()(const NetworkAddress& address) const noexcept {
    return std::hash<std::string>()(address.network) * 31 +
           std::hash<net::IpAddress>()(address.address);
  }
};

class WorkloadTable {
 public:
  // The workload that had this uid before, null if it is new.
  WorkloadPtr Insert(WorkloadPtr workload);
  // What was removed; null if the uid is unknown.
  WorkloadPtr Remove(const std::string& uid);

  WorkloadPtr Find(const std::string& uid) const;
  // Of several workloads with one address: pods with HBONE, then pods, then HBONE, then any; among
  // equals the newest.
  WorkloadPtr FindByAddress(const NetworkAddress& address) const;
  WorkloadPtr FindByHostname(const NamespacedHostname& key) const;
  WorkloadPtr FindPod(const std::string& ns, const std::string& name,
                      const std::string& service_account, const std::string& node) const;
  std::vector<WorkloadPtr> All() const;

 private:
  using Bucket = std::vector<WorkloadPtr>;

  void Unindex(const WorkloadPtr& workload);

  // Keys are views into the workloads they lead to.
  std::unordered_map<std::string_view, WorkloadPtr> by_uid_;
  std::unordered_map<NetworkAddress, Bucket, NetworkAddressHash> by_address_;
  std::unordered_map<std::string, Bucket> by_name_;      // "namespace/name"
  std::unordered_map<std::string, Bucket> by_hostname_;  // "namespace/hostname"
};

}  // namespace ambit::state
