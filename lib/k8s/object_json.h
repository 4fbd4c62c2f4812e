#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/error.h"
#include "lib/k8s/objects.h"

namespace ambit::k8s {

using Object = std::variant<Namespace, Pod, Service>;

struct ObjectsRead {
  std::vector<Object> objects;
  // A sentence per object of a kind that the mesh does not use.
  std::vector<std::string> ignored;
};

// The objects of one Kubernetes API object in JSON: a Namespace, Pod or Service of version v1, or a
// list of them (List, PodList, ...). "null" holds none. Unknown fields are left alone.
// Errors  kInvalidArgument: no JSON, a field of the wrong type or out of range, a name that
//         Kubernetes would refuse; the message names object and field.
Result<ObjectsRead> ReadObjects(std::string_view json_text);

// UUIDv8 (RFC 9562) over the FNV-1a 128-bit hash of "namespace/name": the same for all programs and
// for ever, for a pod whose manifest has no metadata.uid.
std::string DerivedUid(std::string_view namespace_name, std::string_view name);

}  // namespace ambit::k8s
