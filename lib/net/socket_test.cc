#include "lib/net/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace ambit::net {
namespace {

int Option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  EXPECT_EQ(getsockopt(fd, level, name, &value, &length), 0);
  return value;
}

Endpoint LoopbackAnyPort() { return {IpAddress::Loopback(Family::kIpv4), 0}; }

TEST(Socket, KeepaliveOptionsAreReallySet) {
  auto fd = MakeTcpSocket(Family::kIpv4);
  ASSERT_TRUE(fd.has_value());
  ASSERT_TRUE(SetKeepalive(fd->get(), {std::chrono::seconds(7), std::chrono::seconds(3), 2}));
  EXPECT_EQ(Option(fd->get(), SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(Option(fd->get(), IPPROTO_TCP, TCP_KEEPIDLE), 7);
  EXPECT_EQ(Option(fd->get(), IPPROTO_TCP, TCP_KEEPINTVL), 3);
  EXPECT_EQ(Option(fd->get(), IPPROTO_TCP, TCP_KEEPCNT), 2);
}

TEST(Socket, AcceptedConnectionInheritsTheMarkOfItsListener) {
  auto listener = ListenTcp(LoopbackAnyPort(), {.mark = 0x539});
  ASSERT_TRUE(listener.has_value()) << listener.error().message();
  auto client = MakeTcpSocket(Family::kIpv4);
  ASSERT_TRUE(StartConnect(client->get(), *LocalEndpoint(listener->get())).has_value());
  pollfd ready{.fd = listener->get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&ready, 1, 5000), 1);
  UniqueFd accepted(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted.valid());
  EXPECT_EQ(Option(accepted.get(), SOL_SOCKET, SO_MARK), 0x539);
  EXPECT_EQ(*OriginalDestination(accepted.get()), *LocalEndpoint(listener->get()));
}

TEST(Socket, TwoListenersShareAPortOnlyWithReusePort) {
  auto first = ListenTcp(LoopbackAnyPort(), {.reuse_port = true});
  ASSERT_TRUE(first.has_value());
  Endpoint taken = *LocalEndpoint(first->get());
  EXPECT_TRUE(ListenTcp(taken, {.reuse_port = true}).has_value());
  auto refused = ListenTcp(taken, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().sys_errno(), EADDRINUSE);
  EXPECT_NE(refused.error().message().find(taken.ToString()), std::string::npos);
}

TEST(Socket, TransparentCoversBothFamiliesOnADualStackSocket) {
  auto fd = MakeTcpSocket(Family::kIpv6);
  auto set = SetTransparent(fd->get());
  ASSERT_TRUE(set.has_value()) << set.error().message();
  EXPECT_EQ(Option(fd->get(), IPPROTO_IPV6, IPV6_TRANSPARENT), 1);
  EXPECT_EQ(Option(fd->get(), IPPROTO_IP, IP_TRANSPARENT), 1);
}

TEST(Socket, RefusedConnectIsReportedBySocketError) {
  auto listener = ListenTcp(LoopbackAnyPort(), {});
  Endpoint closed = *LocalEndpoint(listener->get());
  listener->Reset();
  auto client = MakeTcpSocket(Family::kIpv4);
  auto started = StartConnect(client->get(), closed);
  if (started) {
    pollfd ready{.fd = client->get(), .events = POLLOUT, .revents = 0};
    ASSERT_EQ(poll(&ready, 1, 5000), 1);
    started = SocketError(client->get());
  }
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().sys_errno(), ECONNREFUSED);
}

}  // namespace
}  // namespace ambit::net
