#pragma once

#include <string>

#include "ztunnel-lite/config/config.h"

namespace ambit::admin {

// The section "config" of /config_dump as JSON text, with ztunnel's keys and shapes. No secret is
// in it: neither tokens nor the values of headers.
std::string ConfigSection(const config::Config& config);

}  // namespace ambit::admin
