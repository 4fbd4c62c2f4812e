#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni-plugin/config.h"
#include "cni-plugin/failure.h"
#include "lib/net/address.h"

// Purpose  the result of the plugin before us: what the agent wants to know of it, and itself
// again. Source   CNI SPEC 1.1.0, "ADD Success" and section "Differences" of the older versions.
namespace ambit::cni {

struct PodAddress {
  net::IpAddress address;
  Bytes mask;                    // 4 bytes, or 16 for an address written as IPv6
  std::string gateway;           // empty when absent
  std::optional<int> interface;  // index into prevResult.interfaces
};

// Errors  kDecode: `ips` is not a list of addresses; kUnsupportedField: a result of a version we do
//         not speak.
Outcome<std::vector<PodAddress>> ReadAddresses(const Config& config);

// The previous result with every key it came with, in its order, in the schema of the
// configuration's version; an empty result where there was none. Ends with a newline.
// The previous result must have passed ReadAddresses().
std::string RenderResult(const Config& config);

}  // namespace ambit::cni
