#include "ztunnel-lite/config/log_scopes.h"

#include <algorithm>

namespace ambit::config {

namespace {

constexpr std::string_view kProgram = "ztunnel";

std::string OwnEntry(std::string_view entry) {
  size_t separator = entry.find('=');
  if (separator == std::string_view::npos) separator = entry.rfind(':');
  if (separator == std::string_view::npos) return std::string(entry);
  std::string_view scope = entry.substr(0, separator);
  const std::string level(entry.substr(separator + 1));
  if (scope == kProgram) return level;
  if (scope.starts_with(kProgram) && scope.substr(kProgram.size()).starts_with("::")) {
    scope.remove_prefix(kProgram.size() + 2);
  }
  return std::string(scope) + "=" + level;
}

}  // namespace

std::string OwnScopes(std::string_view filter) {
  std::string own;
  for (bool first = true; first || !filter.empty(); first = false) {
    const size_t comma = std::min(filter.find(','), filter.size());
    if (!first) own += ',';
    own += OwnEntry(filter.substr(0, comma));
    filter.remove_prefix(std::min(filter.size(), comma + 1));
  }
  return own;
}

}  // namespace ambit::config
