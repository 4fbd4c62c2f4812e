#pragma once

#include "cni-plugin/agent.h"
#include "cni-plugin/failure.h"
#include "cni-plugin/kernel.h"

namespace ambit::cni {

// Asks the agent, runs its program in the pod's network namespace and commits. All or nothing: when
// it fails, what it did is undone and the agent knows, unless the failure says otherwise.
// Errors  those of Agent::Add; kTryLater for everything after that.
Outcome<void> AddToMesh(Agent& agent, Kernel& kernel, const Sandbox& sandbox, int netns_fd);

}  // namespace ambit::cni
