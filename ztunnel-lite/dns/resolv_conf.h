#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/net/address.h"

namespace ambit::dns {

// The nameservers of a resolv.conf, port 53, at most three as in the C library. Lines that do not
// parse are skipped, as there. Source  resolv.conf(5).
std::vector<net::Endpoint> ParseResolvConf(std::string_view text);

// Those of the file; empty if it cannot be read.
std::vector<net::Endpoint> ReadResolvConf(const std::string& path);

}  // namespace ambit::dns
