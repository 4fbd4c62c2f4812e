#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lib/netlink/program.h"
#include "node-agent/redirect/nft_object.h"

struct nlmsghdr;

// Purpose  nftables messages of family inet, named by what they do.
// Threads  pure functions.
namespace ambit::redirect {

// A base chain with policy accept.
struct ChainSpec {
  const char* name;
  const char* type;   // nat, filter or route
  uint32_t hook = 0;  // enum nf_inet_hooks
  int32_t priority = 0;
};

// Wakes up a table that is dormant; success where the table exists.
netlink::Message AddTable(const std::string& table);
netlink::Message DeleteTable(const std::string& table);
// Removes the rules of all chains; the chains stay.
netlink::Message FlushTable(const std::string& table);
netlink::Message AddChain(const std::string& table, const ChainSpec& chain);
// At the end of its chain.
netlink::Message AddRule(const NftRule& rule);

// Any other message of nf_tables: `fill` appends libnftnl's payload to the header.
netlink::Message MakeNftMessage(uint16_t type, uint16_t flags,
                                const std::function<void(nlmsghdr*)>& fill);
// The messages between BATCH_BEGIN and BATCH_END: all of them or none.
netlink::Transaction Batch(std::vector<netlink::Message> messages);

}  // namespace ambit::redirect
