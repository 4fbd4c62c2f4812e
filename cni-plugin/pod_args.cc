#include "cni-plugin/pod_args.h"

#include <algorithm>
#include <optional>

namespace ambit::cni {
namespace {

std::unexpected<Failure> Bad(std::string message) {
  return FailWith(CniCode::kBadEnvironment, std::move(message),
                  "CNI_ARGS is a list KEY=VALUE;KEY=VALUE");
}

std::optional<bool> ParseBool(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return std::nullopt;
}

// Where the value of `key` goes; null for a key we do not know.
std::string* Slot(PodArgs& pod, std::string& ignored, std::string_view key) {
  if (key == "K8S_POD_NAME") return &pod.name;
  if (key == "K8S_POD_NAMESPACE") return &pod.pod_namespace;
  if (key == "K8S_POD_UID") return &pod.uid;
  if (key == "K8S_POD_INFRA_CONTAINER_ID") return &ignored;
  return nullptr;
}

}  // namespace

Outcome<PodArgs> ParsePodArgs(std::string_view args) {
  PodArgs pod;
  std::string ignored;
  std::string unknown;
  bool ignore_unknown = false;
  while (!args.empty()) {
    size_t end = args.find(';');
    std::string_view pair = args.substr(0, end);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.find('=', equals + 1) != std::string_view::npos) {
      return Bad("CNI_ARGS has the part \"" + std::string(pair) + "\" without exactly one '='");
    }
    std::string_view key = pair.substr(0, equals);
    std::string value(pair.substr(equals + 1));
    if (key == "IgnoreUnknown") {
      auto flag = ParseBool(value);
      if (!flag) return Bad("CNI_ARGS has IgnoreUnknown=" + value + "; use 1 or 0");
      ignore_unknown = *flag;
    } else if (std::string* slot = Slot(pod, ignored, key)) {
      *slot = std::move(value);
    } else {
      if (!unknown.empty()) unknown += ", ";
      unknown += key;
    }
    if (end == std::string_view::npos) break;
    args.remove_prefix(end + 1);
    if (args.empty()) return Bad("CNI_ARGS ends with ';'");
  }
  if (!unknown.empty() && !ignore_unknown) {
    return Bad("CNI_ARGS has unknown keys (" + unknown + ") and no IgnoreUnknown=1");
  }
  return pod;
}

}  // namespace ambit::cni
