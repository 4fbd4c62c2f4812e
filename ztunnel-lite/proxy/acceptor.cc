#include "ztunnel-lite/proxy/acceptor.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace ambit::proxy {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

bool IsExhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Acceptor::Acceptor(asio::io_context& io, Events events)
    : events_(std::move(events)), listener_(io), backoff_(io) {}

Result<void> Acceptor::Open(UniqueFd listener) {
  boost::system::error_code error;
  listener_.assign(listener.get(), error);
  if (error) return FailErrno(error.value(), "watch a listener");
  (void)listener.Release();
  return {};
}

int Acceptor::Sweep(int limit) {
  for (int taken = 0; taken < limit; ++taken) {
    net::SocketAddress address;
    UniqueFd fd(accept4(listener_.native_handle(), address.get(), &address.length,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      exhausted_ = false;
      auto peer = net::FromSocketAddress(address);
      if (peer) events_.accepted(std::move(fd), *peer);
      continue;
    }
    if (errno == EAGAIN) return 0;
    if (IsExhaustion(errno)) return errno;
    // All else is a fate of the one connection that was taken (ECONNABORTED and network errors).
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) return 0;
  }
  return 0;
}

asio::awaitable<void> Acceptor::Run() {
  while (listener_.is_open()) {
    co_await listener_.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    if (!listener_.is_open()) co_return;
    int error = Sweep(kAcceptsPerTurn);
    if (error == 0) continue;
    // The listener stays readable: waiting for it would spin.
    if (!std::exchange(exhausted_, true)) events_.exhausted(error);
    backoff_.expires_after(kBackoff);
    co_await backoff_.async_wait(kAwait);
  }
}

void Acceptor::CloseAfterLastSweep() {
  if (listener_.is_open()) Sweep(kAcceptsAtEnd);
  Close();
}

void Acceptor::Close() {
  boost::system::error_code ignored;
  listener_.close(ignored);
  backoff_.cancel();
}

}  // namespace ambit::proxy
