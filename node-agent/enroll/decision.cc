#include "node-agent/enroll/decision.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace ambit::enroll {
namespace {

// The spellings that Istio's agent takes (Go's ParseBool).
std::optional<bool> ParseBool(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kTrue{"1", "t", "T", "TRUE", "true", "True"};
  static constexpr std::array<std::string_view, 6> kFalse{"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

void OverrideBool(const k8s::Pod& pod, const char* key, bool& value,
                  std::vector<std::string>& warnings) {
  auto found = pod.annotations.find(key);
  if (found == pod.annotations.end()) return;
  if (auto parsed = ParseBool(found->second)) {
    value = *parsed;
  } else {
    warnings.push_back("annotation " + std::string(key) + "=\"" + found->second +
                       "\" is neither true nor false and was left out");
  }
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items;
  while (true) {
    size_t comma = text.find(',');
    auto item = Trim(text.substr(0, comma));
    if (!item.empty()) items.emplace_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

redirect::Options Override(const k8s::Pod& pod, redirect::Options options,
                           std::vector<std::string>& warnings) {
  OverrideBool(pod, kDnsCaptureAnnotation, options.dns_capture, warnings);
  OverrideBool(pod, kBypassInboundAnnotation, options.bypass_inbound, warnings);
  if (auto found = pod.annotations.find(kVirtualInterfacesAnnotation);
      found != pod.annotations.end()) {
    options.virtual_interfaces = SplitList(found->second);
  }
  return options;
}

// Without its namespace's labels a pod is only judged by what no namespace label can overrule.
Decision DecideAlone(const k8s::Pod& pod, const k8s::MeshSelection& selection) {
  k8s::Namespace bare{.name = pod.namespace_name, .labels = {}, .annotations = {}};
  bool excluded = std::ranges::find(selection.excluded_namespaces, pod.namespace_name) !=
                  selection.excluded_namespaces.end();
  if (selection.Matches(pod, bare)) {
    return {.wish = Wish::kCaptured, .reason = selection.Explain(pod, bare)};
  }
  if (pod.host_network || excluded || pod.annotations.contains(k8s::kSidecarStatusAnnotation)) {
    return {.wish = Wish::kOutside, .reason = selection.Explain(pod, bare)};
  }
  return {.wish = Wish::kUnknown,
          .reason = "namespace " + pod.namespace_name + " is not known, so its labels are not"};
}

}  // namespace

Decision Decide(const k8s::Pod& pod, const k8s::Namespace* of_pod,
                const k8s::MeshSelection& selection, const redirect::Options& defaults) {
  if (pod.Terminal()) return {.wish = Wish::kGone, .reason = "the pod has ended"};
  Decision decision;
  if (of_pod == nullptr) {
    decision = DecideAlone(pod, selection);
  } else {
    decision.wish = selection.Matches(pod, *of_pod) ? Wish::kCaptured : Wish::kOutside;
    decision.reason = selection.Explain(pod, *of_pod);
  }
  decision.options = Override(pod, defaults, decision.warnings);
  return decision;
}

bool SameRules(const redirect::Options& a, const redirect::Options& b) {
  return a.dns_capture == b.dns_capture && a.bypass_inbound == b.bypass_inbound &&
         a.virtual_interfaces == b.virtual_interfaces && a.ipv6 == b.ipv6 &&
         a.probe_v4 == b.probe_v4 && a.probe_v6 == b.probe_v6;
}

}  // namespace ambit::enroll
