// A relay that ends with its app's socket handed on: another relay goes on with it, no byte is lost
// or repeated, and the app does not notice.

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

// One plaintext relay after the other between the same two apps.
struct PlainChain {
  PlainChain() {
    TcpPair left = MakeTcpPair(), right = MakeTcpPair();
    client = std::move(left.near);
    upstream = std::move(right.near);
    SetBlocking(client.get());
    SetBlocking(upstream.get());
    Relay(std::move(left.far), std::move(right.far));
  }
  void Relay(UniqueFd near, UniqueFd far) {
    control = std::make_unique<RelayControl>();
    result =
        asio::co_spawn(thread.worker().io(),
                       RelayPlain(thread.worker(), std::move(near), std::move(far), {}, *control),
                       asio::use_future);
  }
  // What was ready to run on the worker has run.
  void AwaitTurn() {
    std::promise<void> done;
    asio::post(thread.worker().io(), [&] { done.set_value(); });
    done.get_future().wait();
  }
  RelayResult HandOn() {
    asio::post(thread.worker().io(), [this] { control->HandOn(); });
    return result.get();
  }
  UniqueFd client, upstream;
  std::unique_ptr<RelayControl> control;
  std::future<RelayResult> result;
  WorkerThread thread;
};

// Both apps send `size` bytes and end, and read all they get.
struct BothWays {
  BothWays(int left_fd, int right_fd, size_t size)
      : up(Pattern(size, 1)), down(Pattern(size, 2)), left(left_fd), right(right_fd) {
    threads.emplace_back([this] { Send(left, up); });
    threads.emplace_back([this] { Send(right, down); });
    threads.emplace_back([this] { at_left = ReceiveAll(left); });
    threads.emplace_back([this] { at_right = ReceiveAll(right); });
  }
  static void Send(int fd, const std::string& bytes) {
    SendAll(fd, bytes);
    shutdown(fd, SHUT_WR);
  }
  void ExpectExact() {
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(at_right == up) << at_right.size() << " of " << up.size();
    EXPECT_TRUE(at_left == down) << at_left.size() << " of " << down.size();
  }
  std::string up, down, at_left, at_right;
  int left, right;
  std::vector<std::thread> threads;
};

TEST(RelayHandOn, APlaintextConnectionGoesOnExactlyWhereItWas) {
  PlainChain chain;
  BothWays traffic(chain.client.get(), chain.upstream.get(), 40 << 20);
  for (int times = 0; times < 10; ++times) {
    RelayResult result = chain.HandOn();
    if (!result.app.valid()) break;  // all has passed already
    ASSERT_TRUE(result.outcome);
    ASSERT_TRUE(result.upstream.valid());
    chain.Relay(std::move(result.app), std::move(result.upstream));
  }
  traffic.ExpectExact();
}

TEST(RelayHandOn, AnIdlePlaintextConnectionIsHandedOnAtOnce) {
  PlainChain chain;
  RelayResult result = chain.HandOn();
  ASSERT_TRUE(result.outcome);
  chain.Relay(std::move(result.app), std::move(result.upstream));
  SendAll(chain.client.get(), "question");
  EXPECT_EQ(ReceiveExactly(chain.upstream.get(), 8), "question");
}

TEST(RelayHandOn, AHalfCloseIsSeenAgainByTheNextRelay) {
  PlainChain chain;
  SendAll(chain.client.get(), "question");
  shutdown(chain.client.get(), SHUT_WR);
  EXPECT_EQ(ReceiveAll(chain.upstream.get()), "question");
  RelayResult result = chain.HandOn();
  chain.Relay(std::move(result.app), std::move(result.upstream));
  SendAll(chain.upstream.get(), "answer");
  chain.upstream.Reset();
  EXPECT_EQ(ReceiveAll(chain.client.get()), "answer");
  EXPECT_TRUE(chain.result.get().outcome) << "both directions have ended";
}

TEST(RelayHandOn, BytesThatAPlaintextAppDoesNotTakeAreWaitedForAndThenCancelled) {
  PlainChain chain;
  const std::string chunk(1 << 16, 'x');
  bool full = false;
  while (!full) {
    while (send(chain.client.get(), chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    for (int turn = 0; turn < 10; ++turn) chain.AwaitTurn();
    full = send(chain.client.get(), "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
  }
  asio::post(chain.thread.worker().io(), [&] { chain.control->HandOn(); });
  chain.AwaitTurn();
  EXPECT_EQ(chain.result.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  asio::post(chain.thread.worker().io(), [&] {
    chain.control->Cancel(Error(ErrorCode::kTimedOut, "the app did not take what it was sent"));
  });
  const RelayResult result = chain.result.get();
  EXPECT_FALSE(result.outcome);
  EXPECT_FALSE(result.app.valid());
  EXPECT_FALSE(result.upstream.valid());
}

// A connection through a tunnel whose both ends hand it on; a plaintext relay then joins the apps.
struct StreamChain {
  StreamChain() : link(tunnel.Open().value()) {}
  void HandOnBoth() {
    tunnel.OnClient([&](ClientTunnel&) { link.client_control->ExpectHandOn(true); });
    tunnel.OnServer([&](ServerTunnel&) { tunnel.last_server_control().ExpectHandOn(true); });
    tunnel.OnClient([&](ClientTunnel&) { link.client_control->HandOn(); });
    tunnel.OnServer([&](ServerTunnel&) { tunnel.last_server_control().HandOn(); });
  }
  // Where both apps' sockets go on.
  void Join(RelayResult client, RelayResult server) {
    ASSERT_TRUE(client.outcome && client.app.valid());
    ASSERT_TRUE(server.outcome && server.app.valid());
    joined = asio::co_spawn(tunnel.client_thread().worker().io(),
                            RelayPlain(tunnel.client_thread().worker(), std::move(client.app),
                                       std::move(server.app), {}, control),
                            asio::use_future);
  }
  TestTunnel tunnel;
  Link link;
  RelayControl control;
  std::future<RelayResult> joined;
};

TEST(RelayHandOn, AStreamEndsOnBothSidesWithTheirAppsSocketsAndEveryByteOnce) {
  StreamChain chain;
  BothWays traffic(chain.link.client_app.get(), chain.link.server_app.get(), 30 << 20);
  chain.HandOnBoth();
  RelayResult client = chain.link.client_result.get();
  RelayResult server = chain.tunnel.NextServerResult();
  EXPECT_EQ(client.from_app, server.to_app);
  EXPECT_EQ(server.from_app, client.to_app);
  EXPECT_LT(client.from_app, 30u << 20) << "it was in the middle";
  chain.Join(std::move(client), std::move(server));
  traffic.ExpectExact();
  EXPECT_TRUE(chain.joined.get().outcome);
}

TEST(RelayHandOn, AnIdleStreamIsHandedOnAndItsAppsNoticeNothing) {
  StreamChain chain;
  SendAll(chain.link.client_app.get(), "1");
  ReceiveExactly(chain.link.server_app.get(), 1);
  chain.HandOnBoth();
  chain.Join(chain.link.client_result.get(), chain.tunnel.NextServerResult());
  SendAll(chain.link.server_app.get(), "greeting");
  EXPECT_EQ(ReceiveExactly(chain.link.client_app.get(), 8), "greeting");
}

TEST(RelayHandOn, APeerThatHasNotAgreedTakesItForTheEnd) {
  StreamChain chain;
  chain.tunnel.OnClient([&](ClientTunnel&) { chain.link.client_control->HandOn(); });
  EXPECT_EQ(ReceiveAll(chain.link.server_app.get()), "") << "a half-close";
  SendAll(chain.link.server_app.get(), "still heard");
  EXPECT_EQ(ReceiveExactly(chain.link.client_app.get(), 11), "still heard");
  shutdown(chain.link.server_app.get(), SHUT_WR);
  const RelayResult client = chain.link.client_result.get();
  EXPECT_TRUE(client.app.valid());
  EXPECT_FALSE(chain.tunnel.NextServerResult().app.valid());
}

TEST(RelayHandOn, AnEndThatWasHeldBackIsPassedOnWhenNothingComesOfIt) {
  StreamChain chain;
  chain.tunnel.OnServer(
      [&](ServerTunnel&) { chain.tunnel.last_server_control().ExpectHandOn(true); });
  SendAll(chain.link.client_app.get(), "last words");
  shutdown(chain.link.client_app.get(), SHUT_WR);
  EXPECT_EQ(ReceiveExactly(chain.link.server_app.get(), 10), "last words");
  SendAll(chain.link.server_app.get(), "answer");
  EXPECT_EQ(ReceiveExactly(chain.link.client_app.get(), 6), "answer");
  char byte = 0;
  EXPECT_LT(recv(chain.link.server_app.get(), &byte, 1, MSG_DONTWAIT), 0) << "no FIN yet";
  chain.tunnel.OnServer(
      [&](ServerTunnel&) { chain.tunnel.last_server_control().ExpectHandOn(false); });
  EXPECT_EQ(ReceiveAll(chain.link.server_app.get()), "");
  shutdown(chain.link.server_app.get(), SHUT_WR);
  const RelayResult server = chain.tunnel.NextServerResult();
  EXPECT_TRUE(server.outcome);
  EXPECT_FALSE(server.app.valid());
}

TEST(RelayHandOn, AnAppThatBreaksMeanwhileIsNotHandedOn) {
  StreamChain chain;
  chain.tunnel.OnClient([&](ClientTunnel&) { chain.link.client_control->HandOn(); });
  ASSERT_TRUE(net::SetResetOnClose(chain.link.client_app.get()));
  chain.link.client_app.Reset();
  const RelayResult client = chain.link.client_result.get();
  EXPECT_FALSE(client.outcome);
  EXPECT_FALSE(client.app.valid());
  EXPECT_EQ(ReceiveAll(chain.link.server_app.get()), "");
}

TEST(RelayHandOn, WithoutARelayNothingHappens) {
  RelayControl control;
  control.HandOn();
  control.Cancel(Error(ErrorCode::kCancelled, "nobody is there"));
}

}  // namespace
}  // namespace ambit::hbone
