#include "ztunnel-lite/proxy/dial.h"

#include <netinet/in.h>
#include <poll.h>

#include <cerrno>

#include "lib/net/netns.h"
#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/wait.h"

namespace ambit::proxy {
namespace {

// Below the range that clients' kernels choose from by default. In the pod, connection tracking
// knows the client's own connection by client:port and app:port; if this side chose a port that the
// client is using or is about to use, packets of one connection would be taken for the other's.
constexpr uint16_t kFirstPort = 2048;
constexpr uint16_t kPastLastPort = 32768;
constexpr int kPortTries = 32;

bool IsPortTaken(int error) { return error == EADDRINUSE || error == EADDRNOTAVAIL; }

// Connections inside one host are done when connect() returns: no need to wait for the poller.
bool IsWritableNow(int socket) {
  pollfd entry{.fd = socket, .events = POLLOUT, .revents = 0};
  return poll(&entry, 1, 0) == 1;
}

Error DescribeConnectError(const Error& error, const net::Endpoint& to) {
  std::string target = "connect to " + to.ToString();
  bool hbone = to.port == 15008;
  if (error.code() == ErrorCode::kTimedOut) {
    return Error(ErrorCode::kTimedOut,
                 target + " timed out" +
                     (hbone ? "; a NetworkPolicy may block the HBONE port" : "; no answer"),
                 error.sys_errno());
  }
  if (error.sys_errno() == ECONNREFUSED && hbone) {
    return Error(error.code(), target + " was refused; no tunnel listens in that pod",
                 error.sys_errno());
  }
  return error.Wrap(target);
}

}  // namespace

Result<UniqueFd> Dialer::MakeSocket(net::Family family) const {
  auto inside = net::ScopedNetns::Enter(pod_netns_, own_netns_);
  if (!inside) return Fail(inside.error());
  return net::MakeTcpSocket(family);
}

Result<void> Dialer::ApplyOptions(int socket) const {
  // Without the mark the connection would be redirected back to this tunnel.
  if (config_.packet_mark != 0) {
    if (auto set = net::SetMark(socket, config_.packet_mark); !set) return set;
  }
  if (auto set = net::SetNoDelay(socket); !set) return set;
  if (!config_.keepalive) return {};
  (void)net::SetKeepalive(socket, config_.keepalive_options);
  if (config_.user_timeout) {
    const auto& keepalive = config_.keepalive_options;
    (void)net::SetUserTimeout(socket, keepalive.idle + keepalive.interval * keepalive.probes);
  }
  return {};
}

void Dialer::BindToClient(int socket, const net::IpAddress& client) {
  int on = 1;
  int level = client.is_v4() ? IPPROTO_IP : IPPROTO_IPV6;
  int freebind = client.is_v4() ? IP_FREEBIND : IPV6_FREEBIND;
  // With SO_REUSEADDR only the whole four-tuple has to be unique, which connect() checks.
  if (!net::SetTransparent(socket) || setsockopt(socket, level, freebind, &on, sizeof(on)) != 0 ||
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
    return;
  }
  for (int i = 0; i < kPortTries; ++i) {
    auto port = static_cast<uint16_t>(kFirstPort + random_.Below(kPastLastPort - kFirstPort));
    net::SocketAddress address = net::ToSocketAddress({client, port});
    if (bind(socket, address.get(), address.length) == 0 || errno != EADDRINUSE) return;
  }
}

Result<UniqueFd> Dialer::Begin(const Target& target) {
  bool spoof = target.source && *target.source != target.to.address &&
               target.source->family() == target.to.address.family();
  for (int tries = 1;; ++tries) {
    auto socket = MakeSocket(target.to.address.family());
    if (!socket) return Fail(socket.error());
    if (auto set = ApplyOptions(socket->get()); !set) return Fail(set.error());
    if (spoof) BindToClient(socket->get(), *target.source);
    auto begun = net::StartConnect(socket->get(), target.to);
    if (begun) return socket;
    bool again = spoof && tries < kPortTries && IsPortTaken(begun.error().sys_errno());
    if (!again) return Fail(begun.error());
  }
}

boost::asio::awaitable<Result<UniqueFd>> Dialer::Connect(Target target, Interrupt& interrupt) {
  auto socket = Begin(target);
  if (!socket) co_return socket;
  if (!IsWritableNow(socket->get())) {
    socket = co_await WaitWritable(io_, std::move(*socket), config_.connect_timeout, interrupt);
    if (!socket) co_return Fail(DescribeConnectError(socket.error(), target.to));
  }
  if (auto outcome = net::SocketError(socket->get()); !outcome) {
    co_return Fail(DescribeConnectError(outcome.error(), target.to));
  }
  co_return std::move(*socket);
}

}  // namespace ambit::proxy
