#pragma once

#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/net/address.h"
#include "lib/netlink/program.h"

// Purpose  the rules that put a pod's traffic through the tunnel: which netlink messages make them,
//          which remove them, and whether a namespace has them. Planning is pure.
// Threads  PlanRedirect and PlanUndo any; FindDifferences works in the calling thread's namespace.
// Source   nf_tables: libnftnl; rules and routes: rtnetlink(7); docs/netlink-program.md has the
// table
//          of rules.
namespace ambit::redirect {

inline constexpr uint32_t kTunnelMark = 0x539;  // packet mark of the tunnel's own sockets
inline constexpr uint32_t kReplyMark = 0x111;   // connection mark that brings replies back
inline constexpr uint32_t kMarkMask = 0xfff;
inline constexpr char kTableName[] = "ambit";  // family inet

struct Options {
  bool dns_capture = false;
  bool bypass_inbound = false;                    // no inbound redirection
  std::vector<std::string> virtual_interfaces{};  // traffic entering there counts as outbound
  bool ipv6 = true;
  // Also removes the tables that Istio's agent made, in the same transaction: for a pod that it
  // captured before.
  bool take_over_istio = false;
  net::IpAddress probe_v4 = net::IpAddress::Parse("169.254.7.127").value();
  net::IpAddress probe_v6 =
      net::IpAddress::Parse("fd16:9254:7127:1337:ffff:ffff:ffff:ffff").value();
};

// Complete and idempotent: running it again changes nothing, and no moment is without rules. A pod
// with IPv6 switched off in its kernel settings is served too: its IPv6 routes may be refused.
// Errors  kInvalidArgument: an interface name that the kernel would refuse.
Result<netlink::Program> PlanRedirect(const Options& options);

// For a table that somebody else has changed: the same result, but the table is made anew, so that
// foreign chains in it go and ours that were made differently come back. Still one transaction, but
// a packet that is just between two chains may meet neither the old rules nor the new ones.
Result<netlink::Program> PlanRepair(const Options& options);

// Removes all of it and nothing else; also where nothing is there.
netlink::Program PlanUndo();

// What the namespace has against what `options` ask for, one sentence each; empty means it matches.
Result<std::vector<std::string>> FindDifferences(const Options& options);

}  // namespace ambit::redirect
