#include "ztunnel-lite/dns/listeners.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "lib/net/socket.h"

namespace ambit::dns {
namespace {

Result<void> Prepare(int fd, const net::Endpoint& endpoint, const ListenOptions& options) {
  const int on = 1;
  if (options.reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
    return FailErrno(errno, "set SO_REUSEPORT");
  }
  if (!endpoint.address.is_v4() &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
    return FailErrno(errno, "set IPV6_V6ONLY");
  }
  // Answers to redirected questions must not be redirected themselves.
  if (options.mark != 0) return net::SetMark(fd, options.mark);
  return {};
}

}  // namespace

Result<UniqueFd> BindUdp(const net::Endpoint& endpoint, const ListenOptions& options) {
  const std::string context = "listen on UDP " + endpoint.ToString();
  const int domain = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd.valid()) return FailErrno(errno, context);
  if (auto prepared = Prepare(fd.get(), endpoint, options); !prepared) {
    return Fail(prepared.error().Wrap(context));
  }
  const auto address = net::ToSocketAddress(endpoint);
  if (bind(fd.get(), address.get(), address.length) != 0) return FailErrno(errno, context);
  return fd;
}

Result<Listeners> BindListeners(const ListenOptions& options) {
  Listeners bound;
  for (net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    const net::Endpoint endpoint{options.address.value_or(net::IpAddress::Loopback(family)),
                                 options.port};
    if (endpoint.address.family() != family) continue;
    if (family == net::Family::kIpv6 && !options.ipv6) continue;
    auto tcp = net::ListenTcp(
        endpoint, {.reuse_port = options.reuse_port, .dual_stack = false, .mark = options.mark});
    if (!tcp) return Fail(tcp.error());
    if (auto set = net::SetNoDelay(tcp->get()); !set) return Fail(set.error());
    auto udp = BindUdp(endpoint, options);
    if (!udp) return Fail(udp.error());
    bound.tcp.push_back(std::move(*tcp));
    bound.udp.push_back(std::move(*udp));
  }
  return bound;
}

}  // namespace ambit::dns
