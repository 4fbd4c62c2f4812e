#pragma once

#include "lib/netlink/program.h"

// Purpose  the policy routing that brings the app's replies back to the tunnel: packets with the
//          reply mark are routed to lo.
// Threads  pure functions.
namespace ambit::redirect {

// Also sets lo up, which the routes need. Without `ipv6` what is there for IPv6 is removed.
netlink::Transaction AddRouting(bool ipv6);
netlink::Transaction RemoveRouting();

}  // namespace ambit::redirect
