#pragma once

#include <functional>
#include <string>

#include "cni-plugin/kernel.h"
#include "cni-plugin/transport.h"
#include "lib/base/clock.h"
#include "lib/base/environment.h"

// Purpose  one invocation of the plugin: request, agent, program, result.
// Threads  blocks the calling thread; with ADD and CHECK it may enter the pod's network namespace.
// Errors   all end in `output.standard_out` as the specification wants them.
namespace ambit::cni {

// The outside world of the plugin; all references outlive the call.
struct World {
  const Environment& environment;
  // Everything on stdin; only called by commands that have a configuration.
  std::function<Result<std::string>()> read_config;
  Transport& transport;
  Kernel& kernel;
  const Clock& clock;
};

struct Output {
  int exit_code = 0;
  std::string standard_out;
  std::string standard_error;  // for people; one line where something failed
};

Output RunPlugin(const World& world);

}  // namespace ambit::cni
