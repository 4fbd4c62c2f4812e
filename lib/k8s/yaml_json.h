#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace ambit::k8s {

struct YamlLimits {
  int depth = 64;
  // Of the finished values with every alias expanded: 32 per value plus the bytes of its text.
  size_t cost_bytes = 64u << 20;
};

// The documents of a YAML stream as JSON texts, empty documents as "null". Plain scalars have the
// types of YAML 1.2's core schema; aliases are expanded.
// Errors  kInvalidArgument: no YAML, beyond a limit, a key that is no scalar or stands twice in its
//         map, a merge key ("<<"); the message names document and line.
Result<std::vector<std::string>> YamlToJson(std::string_view yaml, const YamlLimits& limits = {});

}  // namespace ambit::k8s
