#pragma once

#include <string>

#include "node-agent/redirect/nft_object.h"

namespace ambit::redirect {

// "type nat hook output priority -100; policy accept;", "no hook" for a regular chain.
std::string ChainText(const NftChain& chain);

}  // namespace ambit::redirect
