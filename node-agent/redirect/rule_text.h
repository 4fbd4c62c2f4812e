#pragma once

#include <string>

#include "node-agent/redirect/nft_object.h"

namespace ambit::redirect {

// The rule in nft's words, without its place and the values of its counters. Two rules that do the
// same have the same text and two that differ have not: what has no words here is printed as
// libnftnl prints it.
std::string RuleText(const NftRule& rule);

}  // namespace ambit::redirect
