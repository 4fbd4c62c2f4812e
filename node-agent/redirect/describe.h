#pragma once

#include <string>

#include "lib/netlink/program.h"

// Purpose  a netlink program as text: nftables messages as nft would write them, routing messages
// as
//          `ip` would. What this does not know, it prints by type and length.
// Threads  pure functions.
namespace ambit::redirect {

// One line per message.
std::string Describe(const netlink::Program& program);

// One message, nlmsghdr first, of NETLINK_NETFILTER or NETLINK_ROUTE; without a line end.
std::string DescribeMessage(int family, const Bytes& message);

}  // namespace ambit::redirect
