#include "ztunnel-lite/pod_lifecycle.h"

#include <utility>

namespace ambit {

PodLifecycle::PodLifecycle(const config::Config& config, state::MeshState& mesh,
                           identity::CredentialCache& credentials, proxy::PodProxies& proxies)
    : config_(config),
      mesh_(mesh),
      proxies_(proxies),
      identities_(mesh, config.node_name,
                  {[&credentials](const state::Identity& id) { credentials.Prefetch(id); },
                   [&credentials](const state::Identity& id) { credentials.Forget(id); }}) {
  mesh_.OnChange([this](state::MeshState::Batch batch) { OnChange(batch); });
}

Result<void> PodLifecycle::Start(const zds::Pod& pod, UniqueFd netns) {
  auto started = proxies_.Start({pod.uid, pod.name, pod.ns, pod.service_account}, std::move(netns));
  if (!started) {
    // Nothing of it runs any more, also where it ran before in another namespace.
    identities_.Remove(pod.uid);
    pods_.erase(pod.uid);
    return started;
  }
  pods_.insert_or_assign(pod.uid, pod);
  identities_.Add(pod.uid, pod.ns, pod.name, pod.service_account);
  return {};
}

void PodLifecycle::Stop(const std::string& uid) {
  proxies_.Stop(uid);
  identities_.Remove(uid);
  pods_.erase(uid);
}

void PodLifecycle::OnChange(state::MeshState::Batch batch) {
  if (batch.workloads) identities_.Refresh();
  bool attached = batch.workloads && AttachedPoliciesChanged();
  if (batch.policies || attached) proxies_.RecheckPolicies();
}

bool PodLifecycle::AttachedPoliciesChanged() {
  std::map<std::string, std::vector<std::string>> attached;
  for (const auto& [uid, pod] : pods_) {
    auto workload =
        mesh_.FindLocalWorkload(pod.ns, pod.name, pod.service_account, config_.node_name);
    if (workload) attached[uid] = workload->authorization_policies;
  }
  return std::exchange(attached_policies_, attached) != attached;
}

}  // namespace ambit
