#include "control-plane/callers/spiffe.h"

#include <algorithm>
#include <vector>

namespace ambit::callers {
namespace {

constexpr std::string_view kScheme = "spiffe://";

bool IsPart(std::string_view text) {
  auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  return !text.empty() && text.size() <= 253 && text != "." && text != ".." &&
         std::ranges::all_of(text, ok);
}

// The trust domain and the path, cut at '/'; empty where a part has characters no name has.
std::vector<std::string> PartsOf(std::string_view uri) {
  std::vector<std::string> parts;
  if (!uri.starts_with(kScheme)) return parts;
  uri.remove_prefix(kScheme.size());
  while (true) {
    size_t slash = uri.find('/');
    std::string_view part = uri.substr(0, slash);
    if (!IsPart(part)) return {};
    parts.emplace_back(part);
    if (slash == std::string_view::npos) return parts;
    uri.remove_prefix(slash + 1);
  }
}

std::unexpected<Error> Bad(std::string_view uri, std::string_view wanted) {
  std::string message = "\"";
  // What a stranger sent goes into a log line; its head says enough.
  message.append(uri.substr(0, 300)).append("\" is not of the form ").append(wanted);
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

}  // namespace

Result<WorkloadName> ParseWorkloadName(std::string_view uri) {
  std::vector<std::string> parts = PartsOf(uri);
  if (parts.size() != 5 || parts[1] != "ns" || parts[3] != "sa") {
    return Bad(uri, "spiffe://<trust domain>/ns/<namespace>/sa/<service account>");
  }
  return WorkloadName{parts[0], parts[2], parts[4]};
}

std::string NodeUri(std::string_view trust_domain, std::string_view node) {
  return std::string(kScheme).append(trust_domain).append("/node/").append(node);
}

Result<std::string> NodeOfUri(std::string_view trust_domain, std::string_view uri) {
  std::vector<std::string> parts = PartsOf(uri);
  if (parts.size() != 3 || parts[0] != trust_domain || parts[1] != "node") {
    return Bad(uri, NodeUri(trust_domain, "<node>"));
  }
  return parts[2];
}

}  // namespace ambit::callers
