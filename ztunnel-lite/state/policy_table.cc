#include "ztunnel-lite/state/policy_table.h"

namespace ambit::state {

void PolicyTable::Insert(PolicyPtr policy) {
  Remove(policy->resource_name);
  if (policy->scope == PolicyScope::kGlobal) global_[policy->resource_name] = policy;
  if (policy->scope == PolicyScope::kNamespace) {
    by_namespace_[policy->ns][policy->resource_name] = policy;
  }
  std::string name = policy->resource_name;
  by_name_[std::move(name)] = std::move(policy);
}

bool PolicyTable::Remove(const std::string& resource_name) {
  auto found = by_name_.find(resource_name);
  if (found == by_name_.end()) return false;
  PolicyPtr policy = std::move(found->second);
  by_name_.erase(found);
  global_.erase(policy->resource_name);
  auto of_namespace = by_namespace_.find(policy->ns);
  if (of_namespace != by_namespace_.end()) {
    of_namespace->second.erase(policy->resource_name);
    if (of_namespace->second.empty()) by_namespace_.erase(of_namespace);
  }
  return true;
}

PolicyPtr PolicyTable::Find(const std::string& resource_name) const {
  auto found = by_name_.find(resource_name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::vector<PolicyPtr> PolicyTable::For(const Workload& workload) const {
  std::vector<PolicyPtr> out;
  out.reserve(global_.size() + workload.authorization_policies.size());
  for (const auto& [name, policy] : global_) out.push_back(policy);
  auto of_namespace = by_namespace_.find(workload.ns);
  if (of_namespace != by_namespace_.end()) {
    for (const auto& [name, policy] : of_namespace->second) out.push_back(policy);
  }
  for (const auto& name : workload.authorization_policies) {
    auto found = by_name_.find(name);
    // One that is global or of the namespace is in the list already.
    if (found == by_name_.end()) continue;
    const Policy& policy = *found->second;
    bool listed = policy.scope == PolicyScope::kGlobal ||
                  (policy.scope == PolicyScope::kNamespace && policy.ns == workload.ns);
    if (!listed) out.push_back(found->second);
  }
  return out;
}

std::vector<PolicyPtr> PolicyTable::All() const {
  std::vector<PolicyPtr> out;
  out.reserve(by_name_.size());
  for (const auto& [name, policy] : by_name_) out.push_back(policy);
  return out;
}

}  // namespace ambit::state
