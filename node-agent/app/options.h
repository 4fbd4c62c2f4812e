#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/environment.h"
#include "lib/base/error.h"
#include "lib/k8s/mesh_selection.h"
#include "lib/net/address.h"
#include "lib/observe/log.h"
#include "node-agent/redirect/redirect.h"

// Purpose  the agent's command line and environment as one value.
// Threads  values.
namespace ambit::agent {

struct Options {
  std::string node_name;
  std::string manifests;
  std::string agent_socket = "/run/ambit/agent.sock";
  std::string zds_socket = "/var/run/ztunnel/ztunnel.sock";
  std::string state_folder;  // empty: the folder of agent_socket
  k8s::MeshSelection selection;
  redirect::Options redirect;  // defaults of every pod
  uint32_t kubelet_uid = 0;
  uint16_t monitoring_port = 15014;  // 0: off
  uint16_t health_port = 8000;       // 0: off
  bool status_needs_tunnel = false;
  std::chrono::milliseconds verify_interval{60000};  // 0: only at start
  std::chrono::milliseconds shutdown_timeout{5000};
  observe::Log::Options log;
};

struct Invocation {
  // What to print, and the exit status, when there is nothing to run: --help, a bad flag.
  std::string text;
  int exit_status = 0;
  bool run = false;
  // The environment with the flags laid over it.
  Environment environment;
};

// A flag wins over its variable. Errors of the command line come back as text and status 2.
Invocation ParseCommandLine(int argc, const char* const* argv, const Environment& process);

// Errors  kInvalidArgument: names the variable, its value and what is accepted.
Result<Options> ReadOptions(const Environment& environment);

}  // namespace ambit::agent
