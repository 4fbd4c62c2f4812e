#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace ambit::hbone {

// Something that happens once and that coroutines wait for. A timer that never expires carries the
// waiters, so that they end with the io_context and leave nothing behind.
class Completion {
 public:
  explicit Completion(boost::asio::io_context& io)
      : timer_(io, boost::asio::steady_timer::time_point::max()) {}

  // Waiters continue in a later turn of the loop.
  void Set() {
    set_ = true;
    timer_.cancel();
  }
  bool is_set() const { return set_; }

  // Returns early, not set, when the waiting coroutine is cancelled.
  boost::asio::awaitable<void> Wait() {
    if (!set_) co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
};

}  // namespace ambit::hbone
