#pragma once

#include <string>
#include <string_view>

// Which versions of the CNI specification we speak, and what each has.
namespace ambit::cni {

inline constexpr std::string_view kNewestVersion = "1.1.0";

bool IsSupportedVersion(std::string_view version);
// Both must be supported versions.
bool VersionAtLeast(std::string_view version, std::string_view floor);
// "0.3.0, 0.3.1, ..."
std::string SupportedVersionsText();
// The answer to VERSION, with a newline.
std::string RenderVersions();

}  // namespace ambit::cni
