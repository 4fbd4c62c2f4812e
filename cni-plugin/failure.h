#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "lib/base/error.h"

// Purpose  errors as the CNI specification wants them on stdout.
// Threads  values.
// Source   CNI SPEC 1.1.0, "Error".
namespace ambit::cni {

enum class CniCode : int {
  kIncompatibleVersion = 1,  // the configuration asks for a version we do not speak
  kUnsupportedField = 2,     // details name the key and its value
  kBadEnvironment = 4,       // details name the variables
  kIo = 5,                   // stdin cannot be read
  kDecode = 6,               // bytes that are not JSON, or JSON of the wrong shape
  kBadConfig = 7,            // a configuration that can never work
  kBadNetns = 8,             // CNI_NETNS cannot be opened or is the runtime's own
  kTryLater = 11,            // nothing was changed; the same ADD may succeed later
  kUnavailable = 50,         // STATUS: no ADD can be served
  kImpaired = 51,            // STATUS: and pods that run may lack connectivity
  kNotAsItShouldBe = 100,    // CHECK: the pod's redirection is not in place
  kRefused = 101,            // the agent will not take this pod, now or later
};

struct Failure {
  CniCode code;
  std::string message;
  std::string details;  // may be empty
};

template <typename T = void>
using Outcome = std::expected<T, Failure>;

std::unexpected<Failure> FailWith(CniCode code, std::string message, std::string details = "");

// {"cniVersion", "code", "msg", "details"} with a newline.
std::string RenderFailure(const Failure& failure, std::string_view cni_version);

}  // namespace ambit::cni
