#include "ztunnel-lite/identity/local_identities.h"

namespace ambit::identity {

void LocalIdentities::Add(const std::string& uid, const std::string& ns, const std::string& name,
                          const std::string& service_account) {
  Pod& pod = pods_[uid];
  pod.ns = ns;
  pod.name = name;
  pod.service_account = service_account;
  Resolve(pod);
}

void LocalIdentities::Remove(const std::string& uid) {
  auto found = pods_.find(uid);
  if (found == pods_.end()) return;
  Assign(found->second, std::nullopt);
  pods_.erase(found);
}

void LocalIdentities::Refresh() {
  for (auto& [uid, pod] : pods_) Resolve(pod);
}

void LocalIdentities::Resolve(Pod& pod) {
  auto workload = mesh_.FindLocalWorkload(pod.ns, pod.name, pod.service_account, node_);
  // A pod that the control plane has dropped before ZDS did keeps what it had.
  if (workload) Assign(pod, workload->identity());
}

void LocalIdentities::Assign(Pod& pod, std::optional<state::Identity> identity) {
  if (pod.identity == identity) return;
  std::optional<state::Identity> previous = std::exchange(pod.identity, identity);
  if (identity && ++counts_[*identity] == 1) events_.appeared(*identity);
  if (!previous) return;
  auto count = counts_.find(*previous);
  if (--count->second > 0) return;
  counts_.erase(count);
  events_.disappeared(*previous);
}

}  // namespace ambit::identity
