#include "ztunnel-lite/dns/udp_listener.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "lib/net/netns.h"
#include "lib/net/socket.h"
#include "ztunnel-lite/dns/message.h"

namespace ambit::dns {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

bool SendTo(int fd, const net::SocketAddress& client, const Bytes& message) {
  return sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, client.get(), client.length) >= 0;
}

}  // namespace

class UdpListener::UdpOrigin : public Origin {
 public:
  UdpOrigin(UdpListener& listener, const net::Endpoint& client)
      : listener_(listener), client_(client) {}

  telemetry::DnsProtocol protocol() const override { return telemetry::DnsProtocol::kUdp; }
  bool Reply(Bytes message) override { return listener_.Send(client_, message); }
  Result<net::Endpoint> Asked() override { return listener_.Asked(client_); }

 private:
  UdpListener& listener_;
  const net::Endpoint client_;
};

UdpListener::UdpListener(asio::io_context& io, Options options, Take take)
    : options_(options), take_(std::move(take)), socket_(io) {}

Result<void> UdpListener::Open(UniqueFd socket) {
  auto local = net::LocalEndpoint(socket.get());
  if (!local) return Fail(local.error());
  local_ = *local;
  boost::system::error_code error;
  socket_.assign(socket.get(), error);
  if (error) return FailErrno(error.value(), "watch a UDP socket");
  (void)socket.Release();
  return {};
}

asio::awaitable<void> UdpListener::Run() {
  while (socket_.is_open()) {
    co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    if (socket_.is_open()) Sweep(socket_.native_handle(), kDatagramsPerTurn);
  }
}

// Until nothing is queued, at most `limit`: a flood of questions must not starve the connections of
// this worker.
void UdpListener::Sweep(int fd, int limit) {
  std::array<std::byte, kMaxMessageBytes> buffer;
  for (int taken = 0; taken < limit; ++taken) {
    net::SocketAddress address;
    const ssize_t got =
        recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, address.get(), &address.length);
    // All other errors are of one datagram.
    if (got < 0 && (errno == EAGAIN || errno == EBADF)) return;
    if (got < 0) continue;
    auto client = net::FromSocketAddress(address);
    if (!client || client->port == 0 || client->address.IsUnspecified()) continue;
    take_(ByteSpan(buffer).first(static_cast<size_t>(got)),
          std::make_unique<UdpOrigin>(*this, *client));
  }
}

bool UdpListener::Send(const net::Endpoint& client, const Bytes& message) {
  if (silent_) return false;
  const auto address = net::ToSocketAddress(client);
  if (socket_.is_open()) return SendTo(socket_.native_handle(), address, message);
  if (late_.valid()) return SendTo(late_.get(), address, message);
  return SendFromNewSocket(address, message);
}

// The answer must come from the port that was asked. For the moment this socket exists the kernel
// may give it questions, too.
bool UdpListener::SendFromNewSocket(const net::SocketAddress& client, const Bytes& message) {
  auto socket =
      net::InNetns(options_.pod_netns, [this] { return BindUdp(local_, options_.listen); });
  if (!socket) return false;
  late_ = std::move(*socket);
  const bool sent = SendTo(late_.get(), client, message);
  Sweep(late_.get(), kDatagramsPerTurn);
  late_.Reset();
  return sent;
}

Result<net::Endpoint> UdpListener::Asked(const net::Endpoint& client) {
  if (!flows_) {
    auto opened = net::InNetns(options_.pod_netns, [] { return FlowTable::Open(); });
    if (!opened) return Fail(opened.error());
    flows_ = std::move(*opened);
  }
  return flows_->OriginalDestination(local_, client);
}

void UdpListener::CloseAfterLastSweep() {
  if (!socket_.is_open()) return;
  Sweep(socket_.native_handle(), kDatagramsAtEnd);
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void UdpListener::Close() {
  silent_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace ambit::dns
