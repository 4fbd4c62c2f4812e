#include "cni-plugin/versions.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace ambit::cni {
namespace {

// Ascending; VersionAtLeast compares positions.
constexpr std::array<std::string_view, 5> kVersions{"0.3.0", "0.3.1", "0.4.0", "1.0.0",
                                                    kNewestVersion};

auto Find(std::string_view version) { return std::ranges::find(kVersions, version); }

}  // namespace

bool IsSupportedVersion(std::string_view version) { return Find(version) != kVersions.end(); }

bool VersionAtLeast(std::string_view version, std::string_view floor) {
  return Find(version) >= Find(floor);
}

std::string SupportedVersionsText() {
  std::string text;
  for (std::string_view version : kVersions) {
    if (!text.empty()) text += ", ";
    text += version;
  }
  return text;
}

std::string RenderVersions() {
  nlohmann::ordered_json json{{"cniVersion", kNewestVersion}, {"supportedVersions", kVersions}};
  return json.dump() + "\n";
}

}  // namespace ambit::cni
