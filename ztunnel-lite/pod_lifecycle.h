#pragma once

#include <map>
#include <string>
#include <vector>

#include "ztunnel-lite/identity/credential_cache.h"
#include "ztunnel-lite/identity/local_identities.h"
#include "ztunnel-lite/proxy/pod_proxies.h"
#include "ztunnel-lite/zds/pod_set.h"

namespace ambit {

// What a pod that comes or goes means for the rest: listeners, certificates, policies in force.
// Thread  control.
class PodLifecycle : public zds::PodHandler {
 public:
  // All outlive the object.
  PodLifecycle(const config::Config& config, state::MeshState& mesh,
               identity::CredentialCache& credentials, proxy::PodProxies& proxies);

  Result<void> Start(const zds::Pod& pod, UniqueFd netns) override;
  void Stop(const std::string& uid) override;

 private:
  void OnChange(state::MeshState::Batch batch);
  // Whether a pod of this node has got or lost a policy since the last look.
  bool AttachedPoliciesChanged();

  const config::Config& config_;
  state::MeshState& mesh_;
  proxy::PodProxies& proxies_;
  identity::LocalIdentities identities_;
  std::map<std::string, zds::Pod> pods_;
  std::map<std::string, std::vector<std::string>> attached_policies_;
};

}  // namespace ambit
