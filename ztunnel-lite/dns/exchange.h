#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "ztunnel-lite/dns/upstream.h"

// For upstream.cc and upstream_tcp.cc.
namespace ambit::dns {

// One question on its socket, until its deadline.
class Upstream::Exchange : public Hook, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Upstream& owner, net::Endpoint server)
      : server(server), socket(owner.io_), owner_(owner), timer_(owner.io_) {
    ++owner_.outstanding_;
    owner_.running_.push_back(*this);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() { --owner_.outstanding_; }

  Result<void> Open(UniqueFd fd, std::chrono::milliseconds deadline) {
    boost::system::error_code error;
    socket.assign(fd.get(), error);
    if (error) return FailErrno(error.value(), "watch a socket");
    (void)fd.Release();
    ExtendDeadline(deadline);
    return {};
  }
  void ExtendDeadline(std::chrono::milliseconds deadline) {
    timer_.expires_after(deadline);
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& stopped) {
      auto self = weak.lock();
      if (!stopped && self) self->End(ErrorCode::kTimedOut);
    });
  }
  void End(ErrorCode why) {
    if (!ended_) ended_ = why;
    timer_.cancel();
    boost::system::error_code ignored;
    socket.cancel(ignored);
  }

  Awaitable<Result<void>> Wait(boost::asio::posix::stream_descriptor::wait_type what) {
    if (!ended_)
      co_await socket.async_wait(what, boost::asio::as_tuple(boost::asio::use_awaitable));
    if (!ended_) co_return Result<void>();
    co_return Fail(*ended_, *ended_ == ErrorCode::kTimedOut
                                ? "the resolver " + server.ToString() + " does not answer"
                                : "stopped");
  }

  const net::Endpoint server;
  boost::asio::posix::stream_descriptor socket;

 private:
  Upstream& owner_;
  boost::asio::steady_timer timer_;
  std::optional<ErrorCode> ended_;
};

}  // namespace ambit::dns
