#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/net/address.h"

namespace ambit::dns {

// The nameservers of a resolv.conf, port 53, at most three as in the C library. Lines that do not
// parse are skipped, as there. Source  resolv.conf(5).
std::vector<net::Endpoint> ParseResolvConf(std::string_view text);

// The search list: the last line that gives one, lower case.
std::vector<std::string> ParseSearchDomains(std::string_view text);

struct ResolvConf {
  std::vector<net::Endpoint> servers{};
  std::vector<std::string> search{};
};
// Of the file; empty if it cannot be read.
ResolvConf ReadResolvConf(const std::string& path);

}  // namespace ambit::dns
