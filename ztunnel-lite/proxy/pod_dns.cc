#include "ztunnel-lite/proxy/pod_proxy.h"

namespace ambit::proxy {

dns::Server::Options PodProxy::DnsOptions() const {
  const auto& config = context_.config;
  return {.cluster_domain = config.cluster_domain,
          .ipv6 = config.ipv6,
          .preferred_ns = config.preferred_service_namespace,
          .search = context_.search_domains,
          .pod_netns = pod_->netns.get(),
          .own_netns = worker_.own_netns(),
          .listen = DnsListenOptions(config, config.ipv6),
          .fallback = context_.fallback_resolvers};
}

void PodProxy::ServeDns() {
  for (auto& udp : listeners_.dns.udp) {
    if (auto served = dns_.ServeUdp(std::move(udp)); !served) {
      Complain("cannot serve DNS by UDP", served.error());
    }
  }
  for (auto& tcp : listeners_.dns.tcp) {
    Acceptor::Events events;
    events.accepted = [this](UniqueFd fd, const net::Endpoint&) { dns_.ServeTcp(std::move(fd)); };
    events.exhausted = [this](int sys_errno) {
      Complain("connections wait until descriptors are free", ErrnoError(sys_errno, "accept"));
    };
    auto acceptor = std::make_unique<Acceptor>(worker_.io(), std::move(events));
    if (auto opened = acceptor->Open(std::move(tcp)); !opened) {
      Complain("cannot serve DNS by TCP", opened.error());
      continue;
    }
    dns_acceptors_.push_back(std::move(acceptor));
    Spawn(dns_acceptors_.back()->Run());
  }
}

boost::asio::awaitable<state::WorkloadPtr> PodProxy::WaitForClient() {
  return WaitForLocalWorkload(dns_interrupt_);
}

void PodProxy::SetBusy(bool busy) {
  if (busy) {
    dns_busy_.emplace(gate_);
  } else {
    dns_busy_.reset();
  }
}

}  // namespace ambit::proxy
