#pragma once

#include <string>

#include "cni-plugin/failure.h"
#include "lib/base/environment.h"

// Purpose  what the runtime asks for, from the environment.
// Source   CNI SPEC 1.1.0, "Parameters"; the character sets are those of containernetworking/cni.
namespace ambit::cni {

enum class Command { kUsage, kAdd, kDel, kCheck, kGc, kStatus, kVersion };

struct Invocation {
  Command command = Command::kUsage;  // kUsage: started by hand, CNI_COMMAND is empty
  std::string container_id;
  std::string netns;  // may be empty for DEL
  std::string ifname;
  std::string args;                // CNI_ARGS, not parsed yet
  bool own_netns_allowed = false;  // CNI_NETNS_OVERRIDE
};

std::string_view CommandName(Command command);

// Only the variables a command requires are judged; all missing ones are named in one error.
// Errors  kBadEnvironment.
Outcome<Invocation> ParseInvocation(const Environment& environment);

}  // namespace ambit::cni
