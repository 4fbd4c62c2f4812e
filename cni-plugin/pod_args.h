#pragma once

#include <string>
#include <string_view>

#include "cni-plugin/failure.h"

namespace ambit::cni {

// The pod a sandbox belongs to, as the runtime names it in CNI_ARGS; empty where it says nothing.
struct PodArgs {
  std::string name;
  std::string pod_namespace;
  std::string uid;

  // Outside Kubernetes there is no pod to put into a mesh.
  bool IsPod() const { return !name.empty() && !pod_namespace.empty(); }
};

// "K=V;K=V". Keys other than Kubernetes' four are refused unless IgnoreUnknown is true.
// Errors  kBadEnvironment.
Outcome<PodArgs> ParsePodArgs(std::string_view args);

}  // namespace ambit::cni
