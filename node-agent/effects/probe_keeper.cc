#include "node-agent/effects/probe_keeper.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "node-agent/effects/on_pool.h"

namespace ambit::effects {

namespace asio = boost::asio;

void ProbeKeeper::Expect(const std::string& uid, std::set<net::IpAddress> addresses) {
  if (addresses.empty()) {
    expected_.erase(uid);
  } else {
    expected_[uid] = std::move(addresses);
  }
}

std::set<net::IpAddress> ProbeKeeper::Union() const {
  std::set<net::IpAddress> all;
  for (const auto& [uid, addresses] : expected_) all.insert(addresses.begin(), addresses.end());
  return all;
}

asio::awaitable<Result<void>> ProbeKeeper::Flush() {
  uint64_t mine = ++asked_;
  while (done_ < mine) {
    if (busy_) {
      turn_.expires_at(asio::steady_timer::time_point::max());
      boost::system::error_code ignored;
      co_await turn_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    busy_ = true;
    uint64_t covered = asked_;
    auto work = [&set = set_, all = Union()] { return set.Replace(all); };
    auto result = co_await OnPool(pool_, std::move(work));
    last_ = std::move(result);
    done_ = covered;
    busy_ = false;
    turn_.cancel();
  }
  co_return last_;
}

}  // namespace ambit::effects
