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
    std::function<void(const Error&)> exhausted;
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

  // Accepts until nothing is queued. 0, or the errno that stopped it for lack of resources.
  int Sweep();

  Events events_;
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::steady_timer backoff_;
  bool exhausted_ = false;
};

}  // namespace ambit::proxy
