#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "lib/base/error.h"
#include "lib/net/address.h"
#include "node-agent/probes/probe_set.h"

namespace ambit::effects {

// The addresses of all pods in the host's probe set. Changes that come while the kernel is busy go
// together in the next transaction. Only differences are sent, as long as the kernel takes them:
// what somebody else does to the set meanwhile is repaired by Renew().
// Thread  the io_context's; the transactions run on the pool, one at a time, in its threads' own
//         namespace.
class ProbeKeeper {
 public:
  // `set` and `pool` outlive it.
  ProbeKeeper(boost::asio::io_context& io, boost::asio::thread_pool& pool, probes::ProbeSet& set)
      : pool_(pool), set_(set), turn_(io) {}

  // Later transactions include them; empty takes the pod out.
  void Expect(const std::string& uid, std::set<net::IpAddress> addresses);
  // Returns when a transaction that has all that is expected now has ended.
  // Errors  those of ProbeSet::Replace.
  boost::asio::awaitable<Result<void>> Flush();
  // The same, with the rules and sets of the kernel read and made whole.
  boost::asio::awaitable<Result<void>> Renew();

 private:
  std::set<net::IpAddress> Union() const;
  boost::asio::awaitable<Result<void>> Send();

  boost::asio::thread_pool& pool_;
  probes::ProbeSet& set_;
  boost::asio::steady_timer turn_;  // cancelled when a transaction ends
  std::map<std::string, std::set<net::IpAddress>> expected_;
  std::optional<std::set<net::IpAddress>>
      sent_;  // what the set holds, if nobody else has been there
  uint64_t asked_ = 0;
  uint64_t done_ = 0;
  bool busy_ = false;
  bool renew_ = false;  // the next transaction reads first
  Result<void> last_;
};

}  // namespace ambit::effects
