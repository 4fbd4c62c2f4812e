#include "control-plane/index/node_accounts.h"

namespace ambit::index {
namespace {

std::string AccountKey(std::string_view namespace_name, std::string_view service_account) {
  return std::string(namespace_name).append("/").append(service_account);
}

}  // namespace

void NodeAccounts::Forget(const std::string& pod_key) {
  auto found = of_pod_.find(pod_key);
  if (found == of_pod_.end()) return;
  auto count = pods_at_.find(found->second);
  if (--count->second == 0) pods_at_.erase(count);
  of_pod_.erase(found);
}

void NodeAccounts::Put(const k8s::Pod& pod) {
  std::lock_guard lock(mutex_);
  Forget(pod.Key());
  if (pod.Terminal() || pod.node_name.empty()) return;
  Place place{pod.node_name, AccountKey(pod.namespace_name, pod.service_account)};
  ++pods_at_[place];
  of_pod_[pod.Key()] = std::move(place);
}

void NodeAccounts::Remove(const k8s::Pod& pod) {
  std::lock_guard lock(mutex_);
  Forget(pod.Key());
}

bool NodeAccounts::Runs(std::string_view node, std::string_view namespace_name,
                        std::string_view service_account) const {
  std::lock_guard lock(mutex_);
  return pods_at_.contains({std::string(node), AccountKey(namespace_name, service_account)});
}

}  // namespace ambit::index
