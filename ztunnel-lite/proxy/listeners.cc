#include "ztunnel-lite/proxy/listeners.h"

#include <cerrno>
#include <fstream>

#include "lib/net/netns.h"
#include "lib/net/socket.h"

namespace ambit::proxy {
namespace {

// The kernel cuts it to net.core.somaxconn; a burst of clients must not wait for a SYN to be sent
// again after a second.
constexpr int kBacklog = 4096;

// Reads the setting of the namespace the thread is in.
bool IsIpv6Enabled() {
  std::ifstream file("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
  int disabled = 1;
  return static_cast<bool>(file >> disabled) && disabled == 0;
}

// A client may have its SYN answered by a listener that is closed before the last ACK comes: where
// the kernel is told so, another listener of the port, a successor's, takes it over; else the
// client is reset. A read-only /proc/sys leaves it at that.
void LetSuccessorFinishHandshakes() { std::ofstream("/proc/sys/net/ipv4/tcp_migrate_req") << "1"; }

// Answers to redirected connections need the mark to get out of the pod; nothing is redirected by
// marks where the tunnel is in the pod itself.
uint32_t ListenerMark(const config::Config& config) {
  return config.dedicated ? 0 : config.packet_mark;
}

Result<UniqueFd> Listen(const config::Config& config, net::Family family, uint16_t port,
                        uint32_t mark) {
  net::ListenOptions options{
      .reuse_port = config.reuse_port, .dual_stack = true, .mark = mark, .backlog = kBacklog};
  auto fd = net::ListenTcp({net::IpAddress::Any(family), port}, options);
  bool no_ipv6 =
      !fd && (fd.error().sys_errno() == EAFNOSUPPORT || fd.error().sys_errno() == EADDRNOTAVAIL);
  if (no_ipv6 && family == net::Family::kIpv6)
    return Listen(config, net::Family::kIpv4, port, mark);
  return fd;
}

Result<void> SetInherited(const config::Config& config, int fd, uint16_t port) {
  if (auto set = net::SetNoDelay(fd); !set) return set;
  // A tunnel finds out by its own pings whether the peer is there.
  if (port == kInboundHbonePort || !config.keepalive) return {};
  if (auto set = net::SetKeepalive(fd, config.keepalive_options); !set) return set;
  if (!config.user_timeout) return {};
  const auto& keepalive = config.keepalive_options;
  return net::SetUserTimeout(fd, keepalive.idle + keepalive.interval * keepalive.probes);
}

// Whether the listener became transparent.
Result<bool> SetTransparent(const config::Config& config, int fd) {
  if (config.preserve_source == false) return false;
  auto set = net::SetTransparent(fd);
  if (!set && config.preserve_source == true) {
    return Fail(set.error().Wrap("ENABLE_ORIG_SRC=true"));
  }
  return set.has_value();
}

struct Bound {
  UniqueFd fd;
  bool transparent = false;
};

Result<Bound> Bind(const config::Config& config, net::Family family, uint16_t port) {
  std::string context = "port " + std::to_string(port) + " of the pod";
  auto fd = Listen(config, family, port, ListenerMark(config));
  if (!fd) return Fail(fd.error().Wrap(context));
  if (auto set = SetInherited(config, fd->get(), port); !set) {
    return Fail(set.error().Wrap(context));
  }
  auto transparent = SetTransparent(config, fd->get());
  if (!transparent) return Fail(transparent.error().Wrap(context));
  return Bound{std::move(*fd), *transparent};
}

Result<Listeners> BindSet(const config::Config& config, net::Family family, bool serves_dns) {
  Result<dns::Listeners> dns =
      serves_dns ? dns::BindListeners(DnsListenOptions(config, family == net::Family::kIpv6))
                 : dns::Listeners();
  if (!dns) return Fail(dns.error().Wrap("the pod's DNS proxy"));
  if (!config.proxy) {
    Listeners only_dns;
    only_dns.dns = std::move(*dns);
    return only_dns;
  }
  auto hbone = Bind(config, family, kInboundHbonePort);
  if (!hbone) return Fail(hbone.error());
  auto plain = Bind(config, family, kInboundPlainPort);
  if (!plain) return Fail(plain.error());
  auto outbound = Bind(config, family, kOutboundPort);
  if (!outbound) return Fail(outbound.error());
  return Listeners{.outbound = std::move(outbound->fd),
                   .inbound_plain = std::move(plain->fd),
                   .inbound_hbone = std::move(hbone->fd),
                   .dns = std::move(*dns),
                   .preserve_source_plain = plain->transparent,
                   .preserve_source_hbone = hbone->transparent};
}

}  // namespace

bool IsTunnelPort(uint16_t port) {
  return port == kOutboundPort || port == kInboundPlainPort || port == kInboundHbonePort;
}

dns::ListenOptions DnsListenOptions(const config::Config& config, bool ipv6) {
  return {.address = config.dns_address.address,
          .port = config.dns_address.port,
          .ipv6 = ipv6,
          .reuse_port = config.reuse_port,
          .mark = ListenerMark(config)};
}

Result<std::vector<Listeners>> BindListeners(const config::Config& config, int pod_netns,
                                             int workers) {
  auto inside = net::ScopedNetns::Enter(pod_netns);
  if (!inside) return Fail(inside.error());
  auto family = config.ipv6 && IsIpv6Enabled() ? net::Family::kIpv6 : net::Family::kIpv4;
  int sets = config.reuse_port ? workers : 1;
  if (config.reuse_port) LetSuccessorFinishHandshakes();
  std::vector<Listeners> bound;
  for (int i = 0; i < sets; ++i) {
    auto set = BindSet(config, family, i == 0 && config.dns);
    if (!set) return Fail(set.error());
    bound.push_back(std::move(*set));
  }
  return bound;
}

Result<Listeners> BindOwnListener(const config::Config& config) {
  std::string context = "port " + std::to_string(kInboundHbonePort) + " of the tunnel's own pod";
  auto family = config.ipv6 && IsIpv6Enabled() ? net::Family::kIpv6 : net::Family::kIpv4;
  auto fd = Listen(config, family, kInboundHbonePort, 0);
  if (!fd) return Fail(fd.error().Wrap(context));
  if (auto set = SetInherited(config, fd->get(), kInboundHbonePort); !set) {
    return Fail(set.error().Wrap(context));
  }
  Listeners own;
  own.inbound_hbone = std::move(*fd);
  return own;
}

}  // namespace ambit::proxy
