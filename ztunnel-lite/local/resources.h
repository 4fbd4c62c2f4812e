#pragma once

#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  workloads, services and policies from a file, in the keys that /config_dump shows.
// Threads  values.
namespace ambit::local {

struct Resources {
  std::vector<state::WorkloadPtr> workloads;
  std::vector<state::ServicePtr> services;
  std::vector<state::PolicyPtr> policies;
};

// Errors  kInvalidArgument "line N: ...": no YAML, an unknown key, a value that is not what its key
//         takes, a resource that stands twice, an endpoint whose workload is not in the file.
Result<Resources> ParseResources(std::string_view yaml);

}  // namespace ambit::local
