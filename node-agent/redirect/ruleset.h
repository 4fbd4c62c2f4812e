#pragma once

#include <vector>

#include "node-agent/redirect/nft_message.h"
#include "node-agent/redirect/nft_object.h"
#include "node-agent/redirect/redirect.h"

// Purpose  which chains and rules a pod gets; the table in docs/netlink-program.md as code.
// Threads  pure functions.
namespace ambit::redirect {

struct BaseChain {
  ChainSpec spec;
  std::vector<NftRule> rules;
};

// All chains we own in the order in which a packet meets them; one without rules need not exist.
std::vector<BaseChain> MakeRuleset(const Options& options);

}  // namespace ambit::redirect
