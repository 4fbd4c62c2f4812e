#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "ztunnel-lite/proxy/interrupt.h"

// Purpose  the waits of the data path, each with a deadline and an interrupt.
// Threads  one worker, unless a function says otherwise.
namespace ambit::proxy {

// Until the socket is writable (or failed: SO_ERROR tells). Gives the socket back.
// Errors  kTimedOut, kCancelled (interrupt), kIo (the poller refused it).
boost::asio::awaitable<Result<UniqueFd>> WaitWritable(boost::asio::io_context& io, UniqueFd socket,
                                                      std::chrono::milliseconds timeout,
                                                      Interrupt& interrupt);

// "Something changed, look again": many coroutines of one worker wait for it.
class ChangeSignal {
 public:
  explicit ChangeSignal(boost::asio::io_context& io) : io_(io) {}

  // Held from before the look until the wait has ended, so that no change falls in between.
  class Watch {
   public:
    explicit Watch(ChangeSignal& signal);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();
    // Returns at the next change, the deadline or an interrupt, whichever is first.
    boost::asio::awaitable<void> Wait(std::chrono::steady_clock::time_point deadline,
                                      Interrupt& interrupt);

   private:
    ChangeSignal& signal_;
    std::shared_ptr<boost::asio::steady_timer> timer_;
    bool changed_ = false;
    friend class ChangeSignal;
  };

  // Any thread; costs one load where nobody waits.
  static void Raise(const std::shared_ptr<ChangeSignal>& signal);

 private:
  void WakeAll();

  boost::asio::io_context& io_;
  std::atomic<int> watchers_{0};
  std::vector<Watch*> waiting_;
};

}  // namespace ambit::proxy
