#include <sys/socket.h>

#include <cerrno>

#include "lib/net/socket.h"
#include "ztunnel-lite/hbone/polled_socket.h"
#include "ztunnel-lite/hbone/transport.h"

namespace ambit::hbone {
namespace {

constexpr char kWhat[] = "tunnel connection";

class SocketTransport final : public Transport {
 public:
  SocketTransport(Worker& worker, UniqueFd fd) : socket_(worker.io(), std::move(fd)) {
    // Best effort: a unix socket in its place has no such delay.
    (void)net::SetNoDelay(socket_.fd());
  }

  Result<std::optional<size_t>> Receive(std::span<std::byte> buffer) override {
    const ssize_t size = recv(socket_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size >= 0) return static_cast<size_t>(size);
    if (errno == EAGAIN || errno == EINTR) return std::nullopt;
    return FailErrno(errno, kWhat);
  }

  Result<std::optional<size_t>> Send(std::span<const iovec> chunks) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(chunks.data());
    message.msg_iovlen = chunks.size();
    ssize_t sent = -1;
    do {
      sent = sendmsg(socket_.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EAGAIN) return std::nullopt;
    return FailErrno(errno, kWhat);
  }

  void WhenReadable(std::shared_ptr<TransportUser> user) override {
    socket_.WhenReadable([user = std::move(user)] { user->OnReadable(); });
  }
  void WhenWritable(std::shared_ptr<TransportUser> user) override {
    socket_.WhenWritable([user = std::move(user)] { user->OnWritable(); });
  }
  bool sends_anywhere() const override { return true; }
  void Close() override { socket_.Close(); }
  boost::asio::awaitable<void> WaitClosed(std::chrono::milliseconds) override { co_return; }

 private:
  PolledSocket socket_;
};

}  // namespace

std::unique_ptr<Transport> MakeSocketTransport(Worker& worker, UniqueFd socket) {
  return std::make_unique<SocketTransport>(worker, std::move(socket));
}

}  // namespace ambit::hbone
