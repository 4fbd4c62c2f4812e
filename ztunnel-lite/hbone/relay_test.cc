// The plaintext relay, and what both relays promise to whoever started them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include "lib/net/socket.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;

// A plaintext relay, seen from its two apps.
struct PlainLink {
  explicit PlainLink(RelayOptions options = {}) {
    TcpPair left = MakeTcpPair(), right = MakeTcpPair();
    client = std::move(left.near);
    upstream = std::move(right.near);
    SetBlocking(client.get());
    SetBlocking(upstream.get());
    result = asio::co_spawn(thread.worker().io(),
                            RelayPlain(thread.worker(), std::move(left.far), std::move(right.far),
                                       std::move(options), control),
                            asio::use_future);
  }
  UniqueFd client, upstream;
  RelayControl control;
  std::future<RelayResult> result;
  WorkerThread thread;
};

TEST(RelayPlainTest, CarriesBytesBothWaysAndPassesOnEachHalfClose) {
  PlainLink link;
  SendAll(link.client.get(), "question");
  EXPECT_EQ(ReceiveExactly(link.upstream.get(), 8), "question");
  shutdown(link.client.get(), SHUT_WR);
  EXPECT_EQ(ReceiveAll(link.upstream.get()), "");
  SendAll(link.upstream.get(), "answer after the half-close");
  link.upstream.Reset();
  EXPECT_EQ(ReceiveAll(link.client.get()), "answer after the half-close");
  const RelayResult result = link.result.get();
  EXPECT_TRUE(result.outcome);
  EXPECT_EQ(result.from_app, 8u);
  EXPECT_EQ(result.to_app, 27u);
}

TEST(RelayPlainTest, ThirtyMegabytesArriveWholeInBothDirectionsAtOnce) {
  PlainLink link;
  const std::string up = Pattern(30 << 20, 1), down = Pattern(30 << 20, 2);
  std::thread upload([&] {
    SendAll(link.client.get(), up);
    shutdown(link.client.get(), SHUT_WR);
  });
  std::thread download([&] {
    SendAll(link.upstream.get(), down);
    shutdown(link.upstream.get(), SHUT_WR);
  });
  std::string at_upstream;
  std::thread reader([&] { at_upstream = ReceiveAll(link.upstream.get()); });
  const std::string at_client = ReceiveAll(link.client.get());
  upload.join();
  download.join();
  reader.join();
  EXPECT_TRUE(at_client == down) << at_client.size();
  EXPECT_TRUE(at_upstream == up) << at_upstream.size();
  EXPECT_TRUE(link.result.get().outcome);
}

TEST(RelayPlainTest, PassesOnAResetOfEitherSide) {
  for (const bool by_client : {true, false}) {
    PlainLink link;
    UniqueFd& broken = by_client ? link.client : link.upstream;
    UniqueFd& other = by_client ? link.upstream : link.client;
    ASSERT_TRUE(net::SetResetOnClose(broken.get()));
    broken.Reset();
    EXPECT_EQ(ReadError(other.get()), ECONNRESET) << by_client;
    EXPECT_FALSE(link.result.get().outcome) << by_client;
  }
}

TEST(RelayPlainTest, TimesOutWhenOneDirectionHasEndedAndTheOtherIsSilent) {
  PlainLink link({.on_bytes = {}, .half_close_timeout = std::chrono::milliseconds(30)});
  shutdown(link.client.get(), SHUT_WR);
  const RelayResult result = link.result.get();
  ASSERT_FALSE(result.outcome);
  EXPECT_EQ(result.outcome.error().code(), ErrorCode::kTimedOut);
  EXPECT_EQ(ReadError(link.upstream.get()), 0) << "the half-close comes first";
  EXPECT_EQ(ReadError(link.client.get()), ECONNRESET);
}

TEST(RelayPlainTest, CancelResetsBothSidesAndSaysWhy) {
  PlainLink link;
  SendAll(link.client.get(), "x");
  ReceiveExactly(link.upstream.get(), 1);
  asio::post(link.thread.worker().io(), [&link] {
    link.control.Cancel(Error(ErrorCode::kCancelled, "closed due to policy change"));
  });
  const RelayResult result = link.result.get();
  ASSERT_FALSE(result.outcome);
  EXPECT_THAT(result.outcome.error().message(), HasSubstr("policy change"));
  EXPECT_EQ(ReadError(link.client.get()), ECONNRESET);
  EXPECT_EQ(ReadError(link.upstream.get()), ECONNRESET);
}

TEST(RelayStreamTest, CancelResetsBothEndsAndSaysWhy) {
  TestTunnel tunnel;
  auto link = tunnel.Open();
  ASSERT_TRUE(link);
  SendAll(link->client_app.get(), "x");
  ReceiveExactly(link->server_app.get(), 1);
  tunnel.OnClient([&](ClientTunnel&) {
    link->client_control->Cancel(Error(ErrorCode::kCancelled, "closed due to policy change"));
  });
  const RelayResult result = link->client_result.get();
  ASSERT_FALSE(result.outcome);
  EXPECT_THAT(result.outcome.error().message(), HasSubstr("policy change"));
  EXPECT_EQ(ReadError(link->client_app.get()), ECONNRESET);
  EXPECT_EQ(ReadError(link->server_app.get()), ECONNRESET);
  const RelayResult server = tunnel.NextServerResult();
  ASSERT_FALSE(server.outcome);
  EXPECT_THAT(server.outcome.error().message(), HasSubstr("CANCEL"));
  EXPECT_TRUE(tunnel.Open()) << "the tunnel itself lives";
}

struct Counted {
  uint64_t from_app = 0;
  uint64_t to_app = 0;
  int calls = 0;
};

RelayOptions CountInto(Counted& counted) {
  RelayOptions options;
  options.on_bytes = [&counted](uint64_t from_app, uint64_t to_app) {
    counted.from_app += from_app;
    counted.to_app += to_app;
    counted.calls += from_app + to_app > 0;
  };
  return options;
}

TEST(RelayStreamTest, OnBytesTellsEachByteOnceWhileTheRelayRuns) {
  TestTunnel tunnel;
  Counted counted;
  auto link = tunnel.Open(CountInto(counted));
  ASSERT_TRUE(link);
  SendAll(link->client_app.get(), "12345");
  ReceiveExactly(link->server_app.get(), 5);
  tunnel.OnClient([&](ClientTunnel&) { EXPECT_EQ(counted.from_app, 5u); });
  SendAll(link->server_app.get(), std::string(3 << 20, 'x'));
  ReceiveExactly(link->client_app.get(), 3 << 20);
  tunnel.OnClient([&](ClientTunnel&) { EXPECT_EQ(counted.to_app, 3u << 20); });
  link->client_app.Reset();
  link->server_app.Reset();
  const RelayResult result = link->client_result.get();
  EXPECT_EQ(counted.from_app, result.from_app);
  EXPECT_EQ(counted.to_app, result.to_app);
  EXPECT_GT(counted.calls, 1);
}

TEST(RelayPlainTest, OnBytesTellsEachByteOnceWhileTheRelayRuns) {
  Counted counted;
  PlainLink link(CountInto(counted));
  SendAll(link.client.get(), "12345");
  ReceiveExactly(link.upstream.get(), 5);
  SendAll(link.upstream.get(), "1234567");
  ReceiveExactly(link.client.get(), 7);
  link.client.Reset();
  link.upstream.Reset();
  const RelayResult result = link.result.get();
  EXPECT_EQ(counted.from_app, 5u);
  EXPECT_EQ(counted.to_app, 7u);
  EXPECT_EQ(result.from_app, 5u);
  EXPECT_EQ(result.to_app, 7u);
}

}  // namespace
}  // namespace ambit::hbone
