#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/k8s/object_json.h"

// Purpose  Kubernetes manifests as objects. Pure.
namespace ambit::k8s {

inline constexpr size_t kMaxManifestBytes = 4u << 20;

// *.yaml, *.yml, *.json; not hidden files, which editors and config map mounts use for themselves.
bool IsManifestName(std::string_view file_name);

// The objects of one file, in its order. A name that ends in ".json" makes it JSON, any other YAML
// with one or several documents. One bad object makes the whole file bad.
// Errors  kInvalidArgument: file, document and field with the reason; kResourceExhausted: larger
//         than kMaxManifestBytes.
Result<ObjectsRead> ParseManifest(std::string_view file_name, std::string_view text);

}  // namespace ambit::k8s
