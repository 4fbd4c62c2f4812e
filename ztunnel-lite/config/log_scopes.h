#pragma once

#include <string>
#include <string_view>

namespace ambit::config {

// A log filter as it may be written for ztunnel, in our terms: "ztunnel::xds=debug" means our scope
// xds, "ztunnel=debug" everything, and "xds:debug" (as ztunnel's help has it) is "xds=debug".
std::string OwnScopes(std::string_view filter);

}  // namespace ambit::config
