#include "lib/k8s/mesh_selection.h"

#include <algorithm>

namespace ambit::k8s {
namespace {

bool Contains(const std::vector<std::string>& values, const std::string& value) {
  return std::ranges::find(values, value) != values.end();
}

bool Holds(const Requirement& requirement, const StringMap& labels) {
  auto label = labels.find(requirement.key);
  bool exists = label != labels.end();
  bool listed = exists && Contains(requirement.values, label->second);
  switch (requirement.op) {
    case Requirement::Operator::kIn:
      return listed;
    case Requirement::Operator::kNotIn:
      return !listed;
    case Requirement::Operator::kExists:
      return exists;
    case Requirement::Operator::kDoesNotExist:
      return !exists;
  }
  return false;
}

std::string Joined(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text.append(text.empty() ? "" : ", ").append(value);
  return text;
}

std::string Describe(const Requirement& requirement) {
  const std::string& key = requirement.key;
  switch (requirement.op) {
    case Requirement::Operator::kIn:
      if (requirement.values.size() == 1) return key + "=" + requirement.values.front();
      return key + " in (" + Joined(requirement.values) + ")";
    case Requirement::Operator::kNotIn:
      return key + " not in (" + Joined(requirement.values) + ")";
    case Requirement::Operator::kExists:
      return key;
    case Requirement::Operator::kDoesNotExist:
      return "no " + key;
  }
  return key;
}

void Append(std::string& text, const char* whose, const LabelSelector& selector) {
  for (const Requirement& requirement : selector.requirements) {
    text.append(text.empty() ? "" : " and ").append(whose).append(Describe(requirement));
  }
}

std::string LabelText(const StringMap& labels) {
  auto found = labels.find(std::string_view(kDataplaneModeLabel));
  return found == labels.end() ? "not set" : "\"" + found->second + "\"";
}

// The sentence of a pod that no selector can bring in; empty where selectors decide.
std::string Exclusion(const MeshSelection& selection, const Pod& pod) {
  if (pod.host_network) return "the pod uses the host's network namespace";
  if (pod.annotations.contains(std::string_view(kSidecarStatusAnnotation))) {
    return std::string("annotation ") + kSidecarStatusAnnotation + " says that it has a sidecar";
  }
  if (Contains(selection.excluded_namespaces, pod.namespace_name)) {
    return "namespace " + pod.namespace_name + " is excluded from the mesh";
  }
  return "";
}

const EnablementSelector* FirstMatch(const MeshSelection& selection, const Pod& pod,
                                     const Namespace& of_pod) {
  for (const EnablementSelector& selector : selection.selectors) {
    if (selector.pod.Matches(pod.labels) && selector.namespace_.Matches(of_pod.labels)) {
      return &selector;
    }
  }
  return nullptr;
}

}  // namespace

bool LabelSelector::Matches(const StringMap& labels) const {
  return std::ranges::all_of(
      requirements, [&](const Requirement& requirement) { return Holds(requirement, labels); });
}

MeshSelection MeshSelection::Default() {
  using Operator = Requirement::Operator;
  Requirement ambient{kDataplaneModeLabel, Operator::kIn, {"ambient"}};
  Requirement not_none{kDataplaneModeLabel, Operator::kNotIn, {"none"}};
  MeshSelection selection;
  selection.selectors.push_back({LabelSelector{{ambient}}, LabelSelector{}});
  selection.selectors.push_back({LabelSelector{{not_none}}, LabelSelector{{ambient}}});
  return selection;
}

bool MeshSelection::Matches(const Pod& pod, const Namespace& of_pod) const {
  return Exclusion(*this, pod).empty() && FirstMatch(*this, pod, of_pod) != nullptr;
}

std::string MeshSelection::Explain(const Pod& pod, const Namespace& of_pod) const {
  std::string exclusion = Exclusion(*this, pod);
  if (!exclusion.empty()) return "not in the mesh: " + exclusion;
  const EnablementSelector* selector = FirstMatch(*this, pod, of_pod);
  if (selector == nullptr) {
    return std::string("not in the mesh: no selector matches; label ") + kDataplaneModeLabel +
           " is " + LabelText(pod.labels) + " on the pod and " + LabelText(of_pod.labels) +
           " on namespace " + pod.namespace_name;
  }
  std::string reasons;
  Append(reasons, "pod label ", selector->pod);
  Append(reasons, "namespace label ", selector->namespace_);
  return "in the mesh: " + (reasons.empty() ? "the selector matches every pod" : reasons);
}

}  // namespace ambit::k8s
