#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "ztunnel-lite/state/mesh_state.h"

// Purpose  policies by resource name and scope.
// Threads  none of its own; MeshState locks.
namespace ambit::state {

class PolicyTable {
 public:
  void Insert(PolicyPtr policy);
  bool Remove(const std::string& resource_name);
  PolicyPtr Find(const std::string& resource_name) const;
  // In the order of their names, so that verdicts name the same policy each time.
  std::vector<PolicyPtr> For(const Workload& workload) const;
  std::vector<PolicyPtr> All() const;

 private:
  using Named = std::map<std::string, PolicyPtr>;

  std::unordered_map<std::string, PolicyPtr> by_name_;
  Named global_;
  std::unordered_map<std::string, Named> by_namespace_;
};

}  // namespace ambit::state
