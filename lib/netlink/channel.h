#pragma once

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/netlink/program.h"

namespace ambit::netlink {

// Runs transactions over a socket that it keeps. To close an nfnetlink socket takes as long as the
// kernel needs to free what the last transactions of the namespace have removed or changed (up to
// 20 ms, an RCU grace period and more); who runs one after the other need not wait for it.
// Threads  one at a time; Run() blocks.
class Channel {
 public:
  // In the namespace of the thread that made the first call, or the first one after an error.
  // Errors  as netlink::Run's.
  Result<void> Run(const Transaction& transaction);

 private:
  UniqueFd socket_;
  int family_ = 0;
};

}  // namespace ambit::netlink
