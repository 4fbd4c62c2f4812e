#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni-plugin/failure.h"

// Purpose  the network configuration the runtime writes to stdin.
// Source   CNI SPEC 1.1.0, "Execution Protocol" and "Garbage collection".
namespace ambit::cni {

inline constexpr size_t kMaxConfigBytes = 4 << 20;

struct Attachment {
  std::string container_id;
  std::string ifname;
};

struct Config {
  std::string cni_version;
  std::string name;
  std::string agent_socket = "/run/ambit/agent.sock";
  std::chrono::milliseconds agent_timeout{20000};
  std::optional<std::string> prev_result;                    // JSON text of an object
  std::optional<std::vector<Attachment>> valid_attachments;  // GC; absent: the runtime sent none
};

// Unknown keys are ignored, as are those of other plugins.
// Errors  kDecode: no JSON object or a key of the wrong type; kIncompatibleVersion; kBadConfig: a
//         value that can never work.
Outcome<Config> ParseConfig(std::string_view text);

}  // namespace ambit::cni
