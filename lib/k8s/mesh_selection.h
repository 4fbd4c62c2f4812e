#pragma once

#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/k8s/objects.h"

// Purpose  which pods the labels put into the mesh: the one rule that the agent enforces and the
//          control plane announces. Pure.
namespace ambit::k8s {

inline constexpr char kDataplaneModeLabel[] = "istio.io/dataplane-mode";
inline constexpr char kSidecarStatusAnnotation[] = "sidecar.istio.io/status";

struct Requirement {
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Operator op = Operator::kExists;
  std::vector<std::string> values;
};

// matchLabels become kIn requirements. No requirement matches everything.
struct LabelSelector {
  std::vector<Requirement> requirements;
  bool Matches(const StringMap& labels) const;
};

struct EnablementSelector {
  LabelSelector pod;
  LabelSelector namespace_;
};

struct MeshSelection {
  // Any pair is enough; an empty list matches nothing.
  std::vector<EnablementSelector> selectors;
  std::vector<std::string> excluded_namespaces;

  // Pod label "ambient", or namespace label "ambient" unless the pod's says "none".
  static MeshSelection Default();
  // YAML list of {podSelector, namespaceSelector}. Errors  kInvalidArgument.
  static Result<MeshSelection> ParseSelectors(const std::string& yaml);

  // Host-network pods, pods with a sidecar and excluded namespaces are never in.
  bool Matches(const Pod& pod, const Namespace& of_pod) const;
  // One sentence for people: which label or annotation decided.
  std::string Explain(const Pod& pod, const Namespace& of_pod) const;
};

}  // namespace ambit::k8s
