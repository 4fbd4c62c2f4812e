#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

// Purpose  a YAML document as a tree that knows the lines it came from, for messages that name
// them.
// Threads  values.
namespace ambit::local {

struct YamlValue {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 1;
  std::string key;   // where the value stands in a map
  std::string text;  // of a scalar
  std::vector<YamlValue> items;
};

struct YamlLimits {
  size_t depth = 32;
  size_t values = 4u << 20;  // every alias counted as what it stands for
};

// One document; none at all is null. Aliases are expanded; "!Name value" is {Name: value}.
// Errors  kInvalidArgument "line N: ...": no YAML, a second document, a key that is no scalar or
//         stands twice in its map, a merge key, beyond a limit.
Result<YamlValue> ParseYaml(std::string_view yaml, const YamlLimits& limits = {});

}  // namespace ambit::local
