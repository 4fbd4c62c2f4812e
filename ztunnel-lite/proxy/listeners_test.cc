#include "ztunnel-lite/proxy/listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <fstream>

#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/testing/test_netns.h"

namespace ambit::proxy {
namespace {

using testing::NewNetns;

int Option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  getsockopt(fd, level, name, &value, &length);
  return value;
}

TEST(Listeners, OneSetPerWorkerSharesThePortsOfThePod) {
  auto pod = NewNetns();
  auto bound = BindListeners(config::Config(), pod.get(), 3);
  ASSERT_TRUE(bound) << bound.error().message();
  ASSERT_EQ(bound->size(), 3u);
  for (const auto& set : *bound) {
    EXPECT_EQ(net::LocalEndpoint(set.outbound.get())->port, 15001);
    EXPECT_EQ(net::LocalEndpoint(set.inbound_plain.get())->port, 15006);
    EXPECT_EQ(net::LocalEndpoint(set.inbound_hbone.get())->port, 15008);
    EXPECT_TRUE(set.preserve_source_plain);
    EXPECT_TRUE(set.preserve_source_hbone);
  }
}

TEST(Listeners, OneSetOfAPodServesDns) {
  auto pod = NewNetns();
  auto bound = BindListeners(config::Config(), pod.get(), 2);
  ASSERT_TRUE(bound) << bound.error().message();
  const dns::Listeners& dns = bound->front().dns;
  ASSERT_EQ(dns.udp.size(), 2u);
  EXPECT_EQ(net::LocalEndpoint(dns.udp[0].get())->ToString(), "127.0.0.1:15053");
  EXPECT_EQ(net::LocalEndpoint(dns.udp[1].get())->ToString(), "[::1]:15053");
  EXPECT_EQ(net::LocalEndpoint(dns.tcp[0].get())->ToString(), "127.0.0.1:15053");
  EXPECT_EQ(net::LocalEndpoint(dns.tcp[1].get())->ToString(), "[::1]:15053");
  EXPECT_EQ(Option(dns.udp[0].get(), SOL_SOCKET, SO_MARK), 0x539);
  EXPECT_EQ(Option(dns.tcp[1].get(), SOL_SOCKET, SO_MARK), 0x539);
  EXPECT_TRUE(bound->back().dns.udp.empty());
  EXPECT_TRUE(bound->back().dns.tcp.empty());
}

TEST(Listeners, TheMetadataCanSwitchDnsOff) {
  auto pod = NewNetns();
  config::Config config;
  config.dns = false;
  auto bound = BindListeners(config, pod.get(), 1);
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_TRUE(bound->front().dns.udp.empty());
  EXPECT_TRUE(bound->front().dns.tcp.empty());
}

TEST(Listeners, WithoutTheProxyThereIsOnlyDns) {
  auto pod = NewNetns();
  config::Config config;
  config.proxy = false;
  auto bound = BindListeners(config, pod.get(), 1);
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_FALSE(bound->front().outbound.valid());
  EXPECT_FALSE(bound->front().inbound_plain.valid());
  EXPECT_FALSE(bound->front().inbound_hbone.valid());
  EXPECT_FALSE(bound->front().dns.udp.empty());
}

TEST(Listeners, DnsListensWhereItIsTold) {
  auto pod = NewNetns();
  config::Config config;
  config.dns_address = {net::IpAddress::Parse("127.0.0.7").value(), 5353};
  auto bound = BindListeners(config, pod.get(), 1);
  ASSERT_TRUE(bound) << bound.error().message();
  ASSERT_EQ(bound->front().dns.udp.size(), 1u);
  ASSERT_EQ(bound->front().dns.tcp.size(), 1u);
  EXPECT_EQ(net::LocalEndpoint(bound->front().dns.udp[0].get())->ToString(), "127.0.0.7:5353");
  EXPECT_EQ(net::LocalEndpoint(bound->front().dns.tcp[0].get())->ToString(), "127.0.0.7:5353");
}

TEST(Listeners, OfADedicatedTunnelHaveNoMark) {
  auto pod = NewNetns();
  config::Config config;
  config.dedicated = config::DedicatedPod{"shop", "web", "front"};
  auto bound = net::InNetns(pod.get(), [&] { return BindListeners(config, -1, 1); });
  ASSERT_TRUE(bound) << bound.error().message();
  for (int fd : {bound->front().outbound.get(), bound->front().inbound_plain.get(),
                 bound->front().inbound_hbone.get(), bound->front().dns.udp[0].get()}) {
    EXPECT_EQ(Option(fd, SOL_SOCKET, SO_MARK), 0);
  }
}

TEST(Listeners, AcceptedSocketsInheritWhatTheListenerHas) {
  auto pod = NewNetns();
  config::Config config;
  config.user_timeout = true;
  auto bound = BindListeners(config, pod.get(), 1);
  ASSERT_TRUE(bound) << bound.error().message();
  auto client = net::InNetns(pod.get(), [] { return net::MakeTcpSocket(net::Family::kIpv4); });
  ASSERT_TRUE(net::StartConnect(client->get(),
                                {net::IpAddress::Loopback(net::Family::kIpv4), kInboundPlainPort}));
  UniqueFd accepted(accept4(bound->front().inbound_plain.get(), nullptr, nullptr, 0));
  ASSERT_TRUE(accepted.valid());
  EXPECT_EQ(Option(accepted.get(), SOL_SOCKET, SO_MARK), 0x539);
  EXPECT_EQ(Option(accepted.get(), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(Option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(Option(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE), 180);
  EXPECT_EQ(Option(accepted.get(), IPPROTO_TCP, TCP_KEEPCNT), 9);
  EXPECT_EQ(Option(accepted.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), (180 + 9 * 180) * 1000);
}

// What a client's connection becomes whose handshake is not finished when its listener closes.
void ExpectHandshakeMovesOn(const UniqueFd& pod, net::Family family) {
  auto old_set = BindListeners(config::Config(), pod.get(), 1);
  ASSERT_TRUE(old_set) << old_set.error().message();
  // Makes the kernel pass over the client's last ACK, as a network does that is slow to bring it.
  int seconds = 60;
  int old_listener = old_set->front().outbound.get();
  ASSERT_EQ(setsockopt(old_listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
  auto client = net::InNetns(pod.get(), [&] { return net::MakeTcpSocket(family); });
  ASSERT_TRUE(net::StartConnect(client->get(), {net::IpAddress::Loopback(family), kOutboundPort}));
  auto successor = BindListeners(config::Config(), pod.get(), 1);
  ASSERT_TRUE(successor) << successor.error().message();
  old_set->clear();
  ASSERT_EQ(send(client->get(), "x", 1, MSG_NOSIGNAL), 1);
  pollfd waiting{.fd = successor->front().outbound.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&waiting, 1, 5000), 1) << "the client was reset";
  UniqueFd accepted(accept4(successor->front().outbound.get(), nullptr, nullptr, 0));
  char byte = 0;
  EXPECT_EQ(recv(accepted.get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
}

TEST(Listeners, AHandshakeUnderWayIsFinishedByTheSuccessor) {
  auto pod = NewNetns();
  ExpectHandshakeMovesOn(pod, net::Family::kIpv4);
  ExpectHandshakeMovesOn(pod, net::Family::kIpv6);
}

TEST(Listeners, TheTunnelsOwnPodHasTheHbonePortAloneAndUnmarked) {
  auto pod = NewNetns();
  auto own = net::InNetns(pod.get(), [] { return BindOwnListener(config::Config()); });
  ASSERT_TRUE(own) << own.error().message();
  EXPECT_EQ(net::LocalEndpoint(own->inbound_hbone.get())->port, 15008);
  EXPECT_EQ(Option(own->inbound_hbone.get(), SOL_SOCKET, SO_MARK), 0);
  EXPECT_FALSE(own->outbound.valid() || own->inbound_plain.valid());
  EXPECT_FALSE(own->preserve_source_hbone);
}

TEST(Listeners, APodWithoutIpv6IsServedOnIpv4) {
  auto pod = NewNetns();
  auto disabled = net::InNetns(pod.get(), []() -> Result<void> {
    std::ofstream("/proc/sys/net/ipv6/conf/lo/disable_ipv6") << "1";
    return {};
  });
  ASSERT_TRUE(disabled);
  auto bound = BindListeners(config::Config(), pod.get(), 1);
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_EQ(Option(bound->front().outbound.get(), SOL_SOCKET, SO_DOMAIN), AF_INET);
  EXPECT_EQ(bound->front().dns.udp.size(), 1u);
  EXPECT_EQ(bound->front().dns.tcp.size(), 1u);
}

TEST(Listeners, ATakenPortFailsAllAndNamesIt) {
  auto pod = NewNetns();
  auto taken = net::InNetns(pod.get(), [] {
    return net::ListenTcp({net::IpAddress::Any(net::Family::kIpv6), kInboundPlainPort}, {});
  });
  ASSERT_TRUE(taken);
  auto bound = BindListeners(config::Config(), pod.get(), 2);
  ASSERT_FALSE(bound);
  EXPECT_NE(bound.error().message().find("15006"), std::string::npos);
  taken->Reset();
  EXPECT_TRUE(BindListeners(config::Config(), pod.get(), 2));
}

TEST(Listeners, WithoutReusePortThereIsOneSet) {
  auto pod = NewNetns();
  config::Config config;
  config.reuse_port = false;
  auto bound = BindListeners(config, pod.get(), 2);
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_EQ(bound->size(), 1u);
}

TEST(Listeners, SourcePreservationCanBeSwitchedOff) {
  auto pod = NewNetns();
  config::Config config;
  config.preserve_source = false;
  auto bound = BindListeners(config, pod.get(), 1);
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_FALSE(bound->front().preserve_source_plain);
  EXPECT_FALSE(bound->front().preserve_source_hbone);
}

TEST(Listeners, ADescriptorThatIsNoNamespaceIsRefused) {
  UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(BindListeners(config::Config(), file.get(), 1));
}

}  // namespace
}  // namespace ambit::proxy
