#pragma once

#include <string>
#include <variant>
#include <vector>

#include "control-plane/index/mapping.h"
#include "lib/base/environment.h"
#include "lib/base/error.h"
#include "lib/net/address.h"
#include "lib/observe/log.h"

namespace ambit::control {

struct Options {
  std::string manifests;
  net::Endpoint address;
  std::string data;
  std::string tokens;
  std::vector<std::string> hostnames;
  std::string port_file;
  index::MeshNames names;
  std::string log_filter;
  observe::Log::Format log_format = observe::Log::Format::kPlain;
};

// What --help and --version print.
struct Text {
  std::string text;
};

// A flag wins over its environment variable.
// Errors  kInvalidArgument: names the flag or variable and what is accepted.
Result<std::variant<Options, Text>> ParseOptions(const std::vector<std::string>& arguments,
                                                 const Environment& environment);

}  // namespace ambit::control
