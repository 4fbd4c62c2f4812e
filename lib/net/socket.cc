#include "lib/net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

// After netinet/in.h: the kernel's own headers then leave out what that one has defined.
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <cerrno>
#include <string>

namespace ambit::net {
namespace {

Result<void> SetOption(int fd, int level, int name, int value, const char* what) {
  if (setsockopt(fd, level, name, &value, sizeof(value)) == 0) return {};
  return FailErrno(errno, std::string("set ") + what);
}

Result<Family> SocketFamily(int fd) {
  int domain = 0;
  socklen_t length = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) {
    return FailErrno(errno, "read SO_DOMAIN");
  }
  return domain == AF_INET6 ? Family::kIpv6 : Family::kIpv4;
}

using NameFunction = int (*)(int, sockaddr*, socklen_t*);

Result<Endpoint> ReadName(int fd, NameFunction function, const char* what) {
  SocketAddress address;
  if (function(fd, address.get(), &address.length) != 0) return FailErrno(errno, what);
  return FromSocketAddress(address);
}

Result<void> PrepareListener(int fd, const Endpoint& endpoint, const ListenOptions& options) {
  if (options.reuse_port) {
    if (auto set = SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT"); !set) return set;
  } else {
    if (auto set = SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"); !set) return set;
  }
  if (!endpoint.address.is_v4()) {
    int only_v6 = options.dual_stack ? 0 : 1;
    if (auto set = SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6, "IPV6_V6ONLY"); !set)
      return set;
  }
  if (options.mark != 0) return SetMark(fd, options.mark);
  return {};
}

}  // namespace

Result<UniqueFd> MakeTcpSocket(Family family) {
  int domain = family == Family::kIpv4 ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd.valid()) return FailErrno(errno, "create a TCP socket");
  return fd;
}

Result<UniqueFd> ListenTcp(const Endpoint& endpoint, const ListenOptions& options) {
  auto fd = MakeTcpSocket(endpoint.address.family());
  if (!fd) return fd;
  if (auto prepared = PrepareListener(fd->get(), endpoint, options); !prepared) {
    return Fail(prepared.error().Wrap("listen on " + endpoint.ToString()));
  }
  SocketAddress address = ToSocketAddress(endpoint);
  if (bind(fd->get(), address.get(), address.length) != 0 ||
      listen(fd->get(), options.backlog) != 0) {
    return FailErrno(errno, "listen on " + endpoint.ToString());
  }
  return fd;
}

Result<void> StartConnect(int fd, const Endpoint& endpoint) {
  SocketAddress address = ToSocketAddress(endpoint);
  if (connect(fd, address.get(), address.length) == 0 || errno == EINPROGRESS) return {};
  return FailErrno(errno, "connect to " + endpoint.ToString());
}

Result<void> SocketError(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error == 0) return {};
  return FailErrno(error, "socket");
}

Result<void> SetMark(int fd, uint32_t mark) {
  return SetOption(fd, SOL_SOCKET, SO_MARK, static_cast<int>(mark),
                   "SO_MARK (needs CAP_NET_ADMIN)");
}

Result<void> SetNoDelay(int fd) {
  return SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
}

Result<void> SetKeepalive(int fd, const KeepaliveOptions& options) {
  const std::pair<int, int> values[] = {{TCP_KEEPIDLE, static_cast<int>(options.idle.count())},
                                        {TCP_KEEPINTVL, static_cast<int>(options.interval.count())},
                                        {TCP_KEEPCNT, options.probes}};
  if (auto set = SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"); !set) return set;
  for (auto [name, value] : values) {
    if (auto set = SetOption(fd, IPPROTO_TCP, name, value, "TCP keepalive"); !set) return set;
  }
  return {};
}

Result<void> SetUserTimeout(int fd, std::chrono::milliseconds timeout) {
  return SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(timeout.count()),
                   "TCP_USER_TIMEOUT");
}

Result<void> SetTransparent(int fd) {
  auto family = SocketFamily(fd);
  if (!family) return Fail(family.error());
  if (*family == Family::kIpv6) {
    auto set = SetOption(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1, "IPV6_TRANSPARENT");
    if (!set) return set;
  }
  return SetOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT (needs CAP_NET_ADMIN)");
}

Result<void> BindForeignSource(int fd, const IpAddress& source) {
  if (auto set = SetTransparent(fd); !set) return set;
  int level = source.is_v4() ? IPPROTO_IP : IPPROTO_IPV6;
  int name = source.is_v4() ? IP_FREEBIND : IPV6_FREEBIND;
  if (auto set = SetOption(fd, level, name, 1, "FREEBIND"); !set) return set;
  SocketAddress address = ToSocketAddress({source, 0});
  if (bind(fd, address.get(), address.length) == 0) return {};
  return FailErrno(errno, "bind to the client's address " + source.ToString());
}

Result<void> SetResetOnClose(int fd) {
  linger value{.l_onoff = 1, .l_linger = 0};
  if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value)) == 0) return {};
  return FailErrno(errno, "set SO_LINGER");
}

Result<Endpoint> PeerEndpoint(int fd) { return ReadName(fd, getpeername, "read peer address"); }

Result<Endpoint> LocalEndpoint(int fd) { return ReadName(fd, getsockname, "read local address"); }

Result<Endpoint> OriginalDestination(int fd) {
  SocketAddress address;
  if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, &address.storage, &address.length) == 0) {
    return FromSocketAddress(address);
  }
  address = {};
  if (getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, &address.storage, &address.length) == 0) {
    return FromSocketAddress(address);
  }
  return LocalEndpoint(fd);
}

}  // namespace ambit::net
