#pragma once

#include <set>

#include "lib/base/error.h"
#include "lib/net/address.h"
#include "lib/netlink/channel.h"

// Purpose  host rules that let kubelet's probes reach captured pods in the clear: TCP from
//          kubelet's own sockets to a pod in the set gets a source address that the pod's rules
//          excuse.
// Threads  one at a time, all in the same network namespace; calls block on netlink.
// Source   host table `inet ambit`: sets probes-v4 and probes-v6, chain postrouting (nat, 100).
namespace ambit::probes {

struct Options {
  uint32_t kubelet_uid = 0;  // owner of the sockets that are excused (meta skuid)
  bool ipv6 = true;
  net::IpAddress probe_v4;
  net::IpAddress probe_v6;
};

class ProbeSet {
 public:
  explicit ProbeSet(Options options) : options_(options) {}

  // Makes chain, rule and sets if they are missing and makes the sets hold exactly `pods`, in one
  // transaction, without a moment in which an address that stays is missing. Without `ipv6` IPv6
  // addresses are left out.
  Result<void> Replace(const std::set<net::IpAddress>& pods);
  // The same for a set whose addresses are known: reads nothing and sends only what differs.
  // Errors  kIo: the table is not as Replace() leaves it, which a Replace() repairs.
  Result<void> Change(const std::set<net::IpAddress>& added,
                      const std::set<net::IpAddress>& removed);
  // What the kernel has now.
  Result<std::set<net::IpAddress>> Read() const;
  // Removes the host table.
  Result<void> Remove();

 private:
  Result<void> ReplaceOnce(const std::set<net::IpAddress>& pods);

  Options options_;
  netlink::Channel channel_;
};

}  // namespace ambit::probes
