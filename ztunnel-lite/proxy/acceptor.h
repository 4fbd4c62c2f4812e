#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  takes connections off one listening socket.
// Threads  one worker.
namespace ambit::proxy {

class Acceptor {
 public:
  struct Events {
    std::function<void(UniqueFd, const net::Endpoint& peer)> accepted;
    // No descriptor or memory left; said once for each episode, not for each try.
    std::function<void(int sys_errno)> exhausted;
  };
  Acceptor(boost::asio::io_context& io, Events events);

  // Errors  kIo: the poller does not take the socket.
  Result<void> Open(UniqueFd listener);
  // Until Close(); the object outlives it.
  boost::asio::awaitable<void> Run();
  // Takes what the kernel has queued, so that no client is reset, and closes the socket.
  void CloseAfterLastSweep();
  void Close();

 private:
  static constexpr std::chrono::milliseconds kBackoff{100};
  static constexpr int kAcceptsPerTurn = 64;
  static constexpr int kAcceptsAtEnd = 4096;

  // Accepts until nothing is queued, at most `limit`: a flood of connects must not starve the
  // connections that are there. 0, or the errno that stopped it for lack of resources.
  int Sweep(int limit);

  Events events_;
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::steady_timer backoff_;
  bool exhausted_ = false;
};

}  // namespace ambit::proxy
