#include "ztunnel-lite/proxy/pool.h"

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <limits>

namespace ambit::proxy {
namespace {

namespace asio = boost::asio;

class FakeTunnel : public hbone::ClientTunnel {
 public:
  asio::awaitable<Result<Opened>> OpenStream(hbone::ConnectRequest,
                                             std::chrono::milliseconds) override {
    return {};
  }
  bool usable() const override { return usable_now; }
  size_t active_streams() const override { return 0; }
  uint32_t peer_max_streams() const override { return peer_limit; }
  const std::string& peer_identity() const override { return identity_; }
  void Close() override {
    usable_now = false;
    closed = true;
  }
  asio::awaitable<void> WaitClosed(std::chrono::milliseconds) override { co_return; }

  bool usable_now = true;
  bool closed = false;
  uint32_t peer_limit = std::numeric_limits<uint32_t>::max();

 private:
  std::string identity_;
};

// Dials end at once, or when Release() is called if `hold` is set.
class FakeDialer : public TunnelDialer {
 public:
  explicit FakeDialer(asio::io_context& io) : gate_(io) {
    gate_.expires_at(std::chrono::steady_clock::time_point::max());
  }

  asio::awaitable<Outcome<std::shared_ptr<hbone::ClientTunnel>>> DialTunnel(
      PoolKey key, Interrupt& interrupt) override {
    ++dials;
    if (key.next_hop.port == held_port) {
      Interrupt::Scope scope(interrupt, [this] { Release(); });
      co_await gate_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (fail || interrupt.fired()) {
      co_return FailAt(Stage::kConnectTunnel, Error(ErrorCode::kTimedOut, "no answer"));
    }
    auto made = std::make_shared<FakeTunnel>();
    made->peer_limit = peer_limit;
    tunnels.push_back(made);
    co_return made;
  }
  void Release() { gate_.cancel(); }

  int dials = 0;
  bool fail = false;
  uint16_t held_port = 0;
  uint32_t peer_limit = std::numeric_limits<uint32_t>::max();
  std::vector<std::shared_ptr<FakeTunnel>> tunnels;

 private:
  asio::steady_timer gate_;
};

class PoolTest : public testing::Test {
 protected:
  void Make(Pool::Options options) {
    pool_ = std::make_unique<Pool>(io_, dialer_, options, [this](asio::awaitable<void> work) {
      asio::co_spawn(io_, std::move(work), asio::detached);
    });
  }
  static PoolKey Key(uint16_t port) {
    return {{"cluster.local", "default", "client"},
            {"spiffe://cluster.local/ns/default/sa/server"},
            {net::IpAddress::Parse("10.0.0.7").value(), port}};
  }
  asio::awaitable<void> Take(PoolKey key) {
    auto lease = co_await pool_->Acquire(key, interrupt_);
    if (lease) {
      leases_.push_back(std::move(*lease));
    } else {
      errors_.push_back(lease.error());
    }
  }
  void Begin(uint16_t port, int count = 1) {
    for (int i = 0; i < count; ++i) asio::co_spawn(io_, Take(Key(port)), asio::detached);
  }
  // Runs what can run without time passing.
  void Poll() {
    io_.restart();
    while (io_.poll() != 0) {
    }
  }

  asio::io_context io_;
  FakeDialer dialer_{io_};
  Interrupt interrupt_;
  std::unique_ptr<Pool> pool_;
  std::vector<Pool::Lease> leases_;
  std::vector<Failure> errors_;
};

TEST_F(PoolTest, ConcurrentFirstUsersShareOneDial) {
  Make({});
  dialer_.held_port = 15008;
  Begin(15008, 5);
  Poll();
  EXPECT_EQ(dialer_.dials, 1);
  EXPECT_TRUE(leases_.empty());
  dialer_.Release();
  Poll();
  EXPECT_EQ(dialer_.dials, 1);
  EXPECT_EQ(leases_.size(), 5u);
}

TEST_F(PoolTest, TwoThousandUsersGetTwentyTunnelsOfAHundred) {
  Make({});
  Begin(15008, 2000);
  Poll();
  EXPECT_EQ(leases_.size(), 2000u);
  EXPECT_EQ(dialer_.dials, 20);
}

TEST_F(PoolTest, AFullTunnelReturnsToUseWhenAStreamEnds) {
  Make({.max_streams = 2});
  Begin(15008, 2);
  Poll();
  leases_.pop_back();
  Begin(15008);
  Poll();
  EXPECT_EQ(leases_.size(), 2u);
  EXPECT_EQ(dialer_.dials, 1);
  Begin(15008);
  Poll();
  EXPECT_EQ(dialer_.dials, 2);
}

TEST_F(PoolTest, ThePeersOwnStreamLimitIsKept) {
  Make({});
  dialer_.peer_limit = 1;
  Begin(15008, 3);
  Poll();
  EXPECT_EQ(leases_.size(), 3u);
  EXPECT_EQ(dialer_.dials, 3);
}

TEST_F(PoolTest, DifferentPeersAndIdentitiesDoNotShare) {
  Make({});
  Begin(15008);
  Begin(15009);
  Poll();
  PoolKey other = Key(15008);
  other.source.service_account = "someone-else";
  asio::co_spawn(io_, Take(other), asio::detached);
  Poll();
  EXPECT_EQ(dialer_.dials, 3);
}

TEST_F(PoolTest, ATunnelThatGotGoawayIsReplaced) {
  Make({});
  Begin(15008);
  Poll();
  dialer_.tunnels[0]->usable_now = false;
  Begin(15008);
  Poll();
  EXPECT_EQ(dialer_.dials, 2);
  EXPECT_EQ(&leases_[1].tunnel(), dialer_.tunnels[1].get());
  EXPECT_TRUE(dialer_.tunnels[0]->closed);
  EXPECT_EQ(pool_->tunnel_count(), 1u);
}

TEST_F(PoolTest, ABlackHoledPeerBlocksNobodyElse) {
  Make({});
  dialer_.held_port = 15009;
  Begin(15009, 300);
  Begin(15008);
  Poll();
  EXPECT_EQ(leases_.size(), 1u);
  dialer_.Release();
  Poll();
}

TEST_F(PoolTest, AFailedDialFailsThoseItWasForAndIsNotRemembered) {
  Make({});
  dialer_.fail = true;
  Begin(15008, 3);
  Poll();
  ASSERT_EQ(errors_.size(), 3u);
  EXPECT_EQ(errors_[0].flag, telemetry::Flag::kNetworkPolicy);
  dialer_.fail = false;
  Begin(15008);
  Poll();
  EXPECT_EQ(leases_.size(), 1u);
}

TEST_F(PoolTest, WhoeverWaitsTooLongGivesUpAlone) {
  Make({.wait_timeout = std::chrono::milliseconds(20)});
  dialer_.held_port = 15008;
  Begin(15008);
  Poll();
  io_.restart();
  while (errors_.empty()) io_.run_one();
  EXPECT_EQ(errors_[0].error.code(), ErrorCode::kTimedOut);
  dialer_.Release();
  Poll();
  EXPECT_EQ(pool_->tunnel_count(), 1u);
}

TEST_F(PoolTest, AnInterruptEndsTheWait) {
  Make({});
  dialer_.held_port = 15008;
  Begin(15008);
  Poll();
  interrupt_.Fire();
  Poll();
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_EQ(errors_[0].error.code(), ErrorCode::kCancelled);
  dialer_.Release();
  Poll();
}

TEST_F(PoolTest, AnUnusedTunnelIsReleasedAndAUsedOneIsNot) {
  Make({.unused_release = std::chrono::milliseconds(20)});
  Begin(15008);
  Begin(15009);
  Poll();
  EXPECT_EQ(pool_->tunnel_count(), 2u);
  leases_.erase(leases_.begin());
  io_.restart();
  while (pool_->tunnel_count() == 2) io_.run_one();
  EXPECT_TRUE(dialer_.tunnels[0]->closed);
  EXPECT_FALSE(dialer_.tunnels[1]->closed);
}

TEST_F(PoolTest, ATunnelIsProvenOnceSomebodyGotAnAnswer) {
  Make({});
  Begin(15008, 2);
  Poll();
  EXPECT_FALSE(leases_[0].proven());
  leases_[0].MarkProven();
  Begin(15008);
  Poll();
  EXPECT_FALSE(leases_[1].proven());
  EXPECT_TRUE(leases_[2].proven());
}

TEST_F(PoolTest, CloseFailsWhoWaitsAndEndsTunnels) {
  Make({});
  Begin(15008);
  Poll();
  dialer_.held_port = 15009;
  Begin(15009);
  Poll();
  pool_->Close();
  Poll();
  EXPECT_TRUE(dialer_.tunnels[0]->closed);
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_EQ(errors_[0].error.code(), ErrorCode::kCancelled);
  Begin(15008);
  Poll();
  EXPECT_EQ(errors_.size(), 2u);
}

}  // namespace
}  // namespace ambit::proxy
