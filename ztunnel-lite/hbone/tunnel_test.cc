#include "ztunnel-lite/hbone/tunnel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <random>

#include "lib/net/socket.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(TunnelTest, AConnectCarriesBytesBothWaysAndEndsCleanly) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link) << link.error().message();
  EXPECT_EQ(tunnel.LastRequest().authority, "10.0.0.1:80");
  EXPECT_EQ(tunnel.LastRequest().forwarded, "for=\"10.244.1.5:41234\"");
  EXPECT_EQ(tunnel.LastRequest().traceparent, std::nullopt);
  SendAll(link->client_app.get(), "ping");
  EXPECT_EQ(ReceiveExactly(link->server_app.get(), 4), "ping");
  SendAll(link->server_app.get(), "pong!");
  EXPECT_EQ(ReceiveExactly(link->client_app.get(), 5), "pong!");
  shutdown(link->client_app.get(), SHUT_WR);
  EXPECT_EQ(ReceiveAll(link->server_app.get()), "");
  SendAll(link->server_app.get(), "after the half-close");
  link->server_app.Reset();
  EXPECT_EQ(ReceiveAll(link->client_app.get()), "after the half-close");
  const RelayResult client = link->client_result.get();
  EXPECT_TRUE(client.outcome) << client.outcome.error().message();
  EXPECT_EQ(client.from_app, 4u);
  EXPECT_EQ(client.to_app, 25u);
  EXPECT_TRUE(tunnel.NextServerResult().outcome);
}

TEST(TunnelTest, SixtyMegabytesArriveWholeInBothDirectionsAtOnce) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link);
  const std::string up = Pattern(60 << 20, 1), down = Pattern(60 << 20, 2);
  std::thread upload([&] {
    SendAll(link->client_app.get(), up);
    shutdown(link->client_app.get(), SHUT_WR);
  });
  std::thread download([&] {
    SendAll(link->server_app.get(), down);
    shutdown(link->server_app.get(), SHUT_WR);
  });
  std::string at_server;
  std::thread reader([&] { at_server = ReceiveAll(link->server_app.get()); });
  const std::string at_client = ReceiveAll(link->client_app.get());
  upload.join();
  download.join();
  reader.join();
  EXPECT_TRUE(at_client == down) << at_client.size();
  EXPECT_TRUE(at_server == up) << at_server.size();
  EXPECT_TRUE(link->client_result.get().outcome);
}

TEST(TunnelTest, AThousandConnectionsOfRandomSizeOverOneTunnel) {
  TestTunnel tunnel;
  std::mt19937 random(7);
  for (int i = 0; i < 1000; ++i) {
    auto link = tunnel.Open();
    ASSERT_TRUE(link) << i << link.error().message();
    const std::string request = Pattern(random() % 3000, random());
    const std::string response = Pattern(random() % 20000, random());
    SendAll(link->client_app.get(), request);
    shutdown(link->client_app.get(), SHUT_WR);
    ASSERT_EQ(ReceiveAll(link->server_app.get()), request);
    SendAll(link->server_app.get(), response);
    link->server_app.Reset();
    ASSERT_TRUE(ReceiveAll(link->client_app.get()) == response);
    ASSERT_TRUE(link->client_result.get().outcome);
  }
  tunnel.OnClient([](ClientTunnel& client) { EXPECT_EQ(client.active_streams(), 0u); });
}

TEST(TunnelTest, TwoHundredStreamsShareATunnel) {
  TestTunnel tunnel;
  std::vector<Link> links;
  for (int i = 0; i < 200; ++i) {
    auto link = tunnel.Open();
    ASSERT_TRUE(link) << i << " " << link.error().message();
    links.push_back(std::move(*link));
  }
  for (size_t i = 0; i < links.size(); ++i)
    SendAll(links[i].client_app.get(), std::to_string(1000 + i));
  for (size_t i = 0; i < links.size(); ++i) {
    ASSERT_EQ(ReceiveExactly(links[i].server_app.get(), 4), std::to_string(1000 + i));
  }
}

TEST(TunnelTest, AnAppThatDoesNotReadStopsItsSenderAndNoSibling) {
  TestTunnel tunnel;
  auto stuck = tunnel.Open();
  auto other = tunnel.Open();
  ASSERT_TRUE(stuck && other);
  const timeval brief{0, 300000};
  setsockopt(stuck->client_app.get(), SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
  const size_t taken = SendAll(stuck->client_app.get(), std::string(64 << 20, 'x'));
  EXPECT_LT(taken, size_t{40} << 20);
  SendAll(other->client_app.get(), "still moving");
  EXPECT_EQ(ReceiveExactly(other->server_app.get(), 12), "still moving");
  shutdown(stuck->client_app.get(), SHUT_WR);
  EXPECT_EQ(ReceiveAll(stuck->server_app.get()).size(), taken);
}

TEST(TunnelTest, ARejectedConnectNamesTheStatus) {
  TestTunnel tunnel;
  auto link = tunnel.Open({}, "deny:1");
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(link.error().message(), HasSubstr("401"));
  EXPECT_TRUE(tunnel.Open());
}

TEST(TunnelTest, AResetOfTheClientsAppReachesTheServersApp) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link);
  SendAll(link->client_app.get(), "x");
  ReceiveExactly(link->server_app.get(), 1);
  ASSERT_TRUE(net::SetResetOnClose(link->client_app.get()));
  link->client_app.Reset();
  EXPECT_EQ(ReadError(link->server_app.get()), ECONNRESET);
  EXPECT_FALSE(link->client_result.get().outcome);
  EXPECT_FALSE(tunnel.NextServerResult().outcome);
}

TEST(TunnelTest, AResetOfTheServersAppReachesTheClientsApp) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link);
  SendAll(link->client_app.get(), "x");
  ReceiveExactly(link->server_app.get(), 1);
  ASSERT_TRUE(net::SetResetOnClose(link->server_app.get()));
  link->server_app.Reset();
  EXPECT_EQ(ReadError(link->client_app.get()), ECONNRESET);
  const RelayResult result = link->client_result.get();
  ASSERT_FALSE(result.outcome);
  EXPECT_THAT(result.outcome.error().message(), HasSubstr("CONNECT_ERROR"));
}

TEST(TunnelTest, AnAbortedTunnelResetsItsApps) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link);
  tunnel.OnServer([](ServerTunnel& server) { server.Abort(); });
  EXPECT_EQ(ReadError(link->client_app.get()), ECONNRESET);
  EXPECT_EQ(ReadError(link->server_app.get()), ECONNRESET);
  EXPECT_FALSE(link->client_result.get().outcome);
  tunnel.OnClient([](ClientTunnel& client) { EXPECT_FALSE(client.usable()); });
}

TEST(TunnelTest, ADrainLetsOpenStreamsFinishAndRefusesNewOnes) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link);
  tunnel.OnServer([](ServerTunnel& server) { server.StartDrain(); });
  SendAll(link->server_app.get(), "x");
  ReceiveExactly(link->client_app.get(), 1);
  EXPECT_FALSE(tunnel.Open());
  SendAll(link->client_app.get(), "still open");
  EXPECT_EQ(ReceiveExactly(link->server_app.get(), 10), "still open");
  link->client_app.Reset();
  link->server_app.Reset();
  EXPECT_TRUE(link->client_result.get().outcome);
  EXPECT_TRUE(tunnel.server_ended().get());
}

TEST(TunnelTest, ADrainWithoutOpenStreamsEndsTheTunnelOfEitherSide) {
  TestTunnel tunnel;
  tunnel.OnServer([](ServerTunnel& server) { server.StartDrain(); });
  const Result<void> ended = tunnel.server_ended().get();
  EXPECT_TRUE(ended) << ended.error().message();
  tunnel.OnClient([](ClientTunnel& client) { EXPECT_FALSE(client.usable()); });
}

TEST(TunnelTest, AHalfClosedRelayThatStaysSilentTimesOut) {
  TestTunnel tunnel;
  auto link = tunnel.Open({.on_bytes = {}, .half_close_timeout = milliseconds(50)});
  ASSERT_TRUE(link);
  shutdown(link->client_app.get(), SHUT_WR);
  const RelayResult result = link->client_result.get();
  ASSERT_FALSE(result.outcome);
  EXPECT_EQ(result.outcome.error().code(), ErrorCode::kTimedOut);
  EXPECT_FALSE(tunnel.NextServerResult().outcome);
}

}  // namespace
}  // namespace ambit::hbone
