#include "ztunnel-lite/proxy/acceptor.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "lib/net/socket.h"

namespace ambit::proxy {
namespace {

namespace asio = boost::asio;

class AcceptorTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listener = net::ListenTcp({net::IpAddress::Loopback(net::Family::kIpv4), 0}, {});
    ASSERT_TRUE(listener);
    at_ = net::LocalEndpoint(listener->get()).value();
    ASSERT_TRUE(acceptor_.Open(std::move(*listener)));
    asio::co_spawn(io_, acceptor_.Run(), asio::detached);
    io_.poll();
  }
  UniqueFd Client() {
    auto client = net::MakeTcpSocket(net::Family::kIpv4);
    EXPECT_TRUE(client && net::StartConnect(client->get(), at_));
    return client ? std::move(*client) : UniqueFd();
  }
  void RunUntil(auto condition) {
    io_.restart();
    while (!condition()) io_.run_one();
  }

  asio::io_context io_;
  std::vector<UniqueFd> accepted_;
  std::vector<net::Endpoint> peers_;
  int exhausted_ = 0;
  Acceptor acceptor_{io_,
                     {.accepted =
                          [this](UniqueFd fd, const net::Endpoint& peer) {
                            accepted_.push_back(std::move(fd));
                            peers_.push_back(peer);
                          },
                      .exhausted = [this](int) { ++exhausted_; }}};
  net::Endpoint at_;
};

TEST_F(AcceptorTest, TakesEverythingThatIsQueued) {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(Client());
  RunUntil([this] { return accepted_.size() == 10; });
  EXPECT_EQ(peers_[0], net::LocalEndpoint(clients[0].get()).value());
}

TEST_F(AcceptorTest, AFloodOfClientsLeavesTurnsForOthers) {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(Client());
  RunUntil([this] { return !accepted_.empty(); });
  EXPECT_EQ(accepted_.size(), 64u);
  RunUntil([this] { return accepted_.size() == 100; });
}

TEST_F(AcceptorTest, OutOfDescriptorsItWaitsAndThenGoesOn) {
  // UBSan opens a pipe when it meets a class for the first time: let it meet the timers now.
  asio::steady_timer timer(io_, std::chrono::milliseconds(1));
  timer.async_wait([](boost::system::error_code) {});
  io_.run_one();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  auto client = Client();
  UniqueFd lowest(dup(client.get()));
  int next = lowest.get();
  lowest.Reset();
  rlimit tight{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &tight);
  RunUntil([this] { return exhausted_ == 1; });
  EXPECT_TRUE(accepted_.empty());
  io_.restart();
  // Waiting, not spinning: the listener is readable all the time.
  EXPECT_LE(io_.poll(), 1u);
  setrlimit(RLIMIT_NOFILE, &before);
  RunUntil([this] { return accepted_.size() == 1; });
  EXPECT_EQ(exhausted_, 1);
}

TEST_F(AcceptorTest, TheLastSweepTakesWhoConnectedBeforeTheClose) {
  auto client = Client();
  acceptor_.CloseAfterLastSweep();
  EXPECT_EQ(accepted_.size(), 1u);
  io_.restart();
  io_.run();
  auto late = net::MakeTcpSocket(net::Family::kIpv4);
  ASSERT_TRUE(late);
  auto refused = net::StartConnect(late->get(), at_);
  EXPECT_TRUE(!refused || !net::SocketError(late->get()));
}

}  // namespace
}  // namespace ambit::proxy
