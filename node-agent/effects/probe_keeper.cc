#include "node-agent/effects/probe_keeper.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <utility>

#include "node-agent/effects/on_pool.h"

namespace ambit::effects {

namespace asio = boost::asio;
using Addresses = std::set<net::IpAddress>;

namespace {

Addresses Without(const Addresses& addresses, const Addresses& others) {
  Addresses left;
  std::ranges::set_difference(addresses, others, std::inserter(left, left.end()));
  return left;
}

}  // namespace

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
    auto result = co_await Send();
    last_ = std::move(result);
    done_ = covered;
    busy_ = false;
    turn_.cancel();
  }
  co_return last_;
}

asio::awaitable<Result<void>> ProbeKeeper::Renew() {
  renew_ = true;
  auto result = co_await Flush();
  co_return result;
}

asio::awaitable<Result<void>> ProbeKeeper::Send() {
  auto before = std::exchange(sent_, std::nullopt);
  if (std::exchange(renew_, false)) before.reset();
  Addresses all = Union();
  auto work = [&set = set_, before = std::move(before), all]() -> Result<void> {
    // Whatever is wrong when a change is refused, Replace makes it whole or says why not.
    if (before && set.Change(Without(all, *before), Without(*before, all))) return {};
    return set.Replace(all);
  };
  auto result = co_await OnPool(pool_, std::move(work));
  if (result) sent_ = std::move(all);
  co_return result;
}

}  // namespace ambit::effects
