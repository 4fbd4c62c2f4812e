#include "ztunnel-lite/proxy/dial.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>

#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/testing/test_netns.h"

namespace ambit::proxy {
namespace {

namespace asio = boost::asio;

class Counting : public Random {
 public:
  uint64_t Below(uint64_t bound) override { return next++ % bound; }
  uint64_t next = 0;
};

class DialTest : public ::testing::Test {
 protected:
  void SetUp() override {
    own_ = net::OpenOwnNetns().value();
    pod_ = testing::NewNetns();
    config_.connect_timeout = std::chrono::milliseconds(200);
  }
  static net::Endpoint At(const char* text) { return net::Endpoint::Parse(text).value(); }
  UniqueFd ListenInPod(const net::Endpoint& at, int backlog = 16) {
    return net::InNetns(pod_.get(), [&] { return net::ListenTcp(at, {.backlog = backlog}); })
        .value();
  }
  asio::awaitable<void> DialInto(Dialer& dialer, Dialer::Target target,
                                 std::optional<Result<UniqueFd>>& result) {
    result = co_await dialer.Connect(target, interrupt_);
  }
  Result<UniqueFd> Dial(Dialer::Target target) {
    Dialer dialer(io_, random_, config_, own_.get(), pod_.get());
    std::optional<Result<UniqueFd>> result;
    asio::co_spawn(io_, DialInto(dialer, target, result), asio::detached);
    io_.restart();
    io_.run();
    return std::move(*result);
  }

  asio::io_context io_;
  Interrupt interrupt_;
  Counting random_;
  config::Config config_;
  UniqueFd own_;
  UniqueFd pod_;
};

TEST_F(DialTest, TheSocketLivesInThePodAndTheThreadStaysOutside) {
  auto listener = ListenInPod(At("127.0.0.1:0"));
  auto made = Dial({net::LocalEndpoint(listener.get()).value(), std::nullopt});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(*net::IdentifyNetns(net::OpenOwnNetns()->get()), *net::IdentifyNetns(own_.get()));
  int mark = 0;
  socklen_t length = sizeof(mark);
  getsockopt(made->get(), SOL_SOCKET, SO_MARK, &mark, &length);
  EXPECT_EQ(mark, 0x539);
}

TEST_F(DialTest, TheAppSeesTheClientsAddress) {
  auto listener = ListenInPod(At("127.0.0.1:0"));
  auto made = Dial(
      {net::LocalEndpoint(listener.get()).value(), net::IpAddress::Parse("127.0.0.77").value()});
  ASSERT_TRUE(made) << made.error().message();
  net::SocketAddress peer;
  UniqueFd accepted(accept4(listener.get(), peer.get(), &peer.length, 0));
  EXPECT_EQ(net::FromSocketAddress(peer)->address.ToString(), "127.0.0.77");
}

TEST_F(DialTest, ThePortIsNoneThatTheClientsKernelWouldChoose) {
  auto listener = ListenInPod(At("127.0.0.1:0"));
  Dialer::Target target{net::LocalEndpoint(listener.get()).value(),
                        net::IpAddress::Parse("127.0.0.77").value()};
  auto first = Dial(target);
  ASSERT_TRUE(first);
  EXPECT_EQ(net::LocalEndpoint(first->get())->ToString(), "127.0.0.77:2048");
  // The same port again: taken, so that the next one is tried.
  random_.next = 0;
  auto second = Dial(target);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(net::LocalEndpoint(second->get())->ToString(), "127.0.0.77:2049");
}

TEST_F(DialTest, ARefusedConnectionNamesItsTarget) {
  auto refused = Dial({At("127.0.0.1:9"), std::nullopt});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message().find("127.0.0.1:9"), std::string::npos);
  auto hbone = Dial({At("127.0.0.1:15008"), std::nullopt});
  EXPECT_EQ(hbone.error().message(),
            "connect to 127.0.0.1:15008 was refused; no tunnel listens in that pod");
}

// A listener whose queue is full answers nothing: the SYN is dropped.
TEST_F(DialTest, ATunnelPortThatDoesNotAnswerPointsAtANetworkPolicy) {
  auto listener = ListenInPod(At("127.0.0.1:15008"), 0);
  auto first = Dial({At("127.0.0.1:15008"), std::nullopt});
  ASSERT_TRUE(first);
  auto second = Dial({At("127.0.0.1:15008"), std::nullopt});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kTimedOut);
  EXPECT_EQ(second.error().message(),
            "connect to 127.0.0.1:15008 timed out; a NetworkPolicy may block the HBONE port");
}

TEST_F(DialTest, AnInterruptEndsTheConnect) {
  auto listener = ListenInPod(At("127.0.0.1:15008"), 0);
  auto first = Dial({At("127.0.0.1:15008"), std::nullopt});
  Dialer dialer(io_, random_, config_, own_.get(), pod_.get());
  std::optional<Result<UniqueFd>> result;
  asio::co_spawn(io_, DialInto(dialer, {At("127.0.0.1:15008"), std::nullopt}, result),
                 asio::detached);
  io_.restart();
  io_.poll();
  interrupt_.Fire();
  io_.run();
  ASSERT_TRUE(result && !*result);
  EXPECT_EQ(result->error().code(), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace ambit::proxy
