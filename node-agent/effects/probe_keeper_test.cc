#include "node-agent/effects/probe_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "node-agent/effects/on_pool.h"
#include "node-agent/redirect/testing/netns_lab.h"

namespace ambit::effects {
namespace {

net::IpAddress Ip(const char* text) { return net::IpAddress::Parse(text).value(); }

// The pool's threads are made inside a namespace of the test's own, and work there.
class ProbeKeeperTest : public testing::Test {
 protected:
  ProbeKeeperTest()
      : set_({.kubelet_uid = 0,
              .ipv6 = true,
              .probe_v4 = Ip("169.254.7.127"),
              .probe_v6 = Ip("fd16:9254:7127:1337:ffff:ffff:ffff:ffff")}) {
    host_.In([this] { pool_ = std::make_unique<boost::asio::thread_pool>(2); });
    keeper_ = std::make_unique<ProbeKeeper>(io_, *pool_, set_);
  }
  ~ProbeKeeperTest() override { pool_->join(); }

  void StartFlush() {
    boost::asio::co_spawn(io_, keeper_->Flush(),
                          [this](const std::exception_ptr&, const Result<void>& result) {
                            ++ended_;
                            if (!result) error_ = result.error().message();
                          });
  }
  void StartRenew() {
    boost::asio::co_spawn(io_, keeper_->Renew(),
                          [this](const std::exception_ptr&, const Result<void>&) { ++ended_; });
  }
  void Run() {
    io_.restart();
    io_.run();
  }
  std::set<net::IpAddress> Read() {
    return host_.In([this] { return set_.Read().value(); });
  }

  redirect::TestNetns host_;
  boost::asio::io_context io_{1};
  std::unique_ptr<boost::asio::thread_pool> pool_;
  probes::ProbeSet set_;
  std::unique_ptr<ProbeKeeper> keeper_;
  int ended_ = 0;
  std::string error_;
};

TEST_F(ProbeKeeperTest, TheSetHoldsTheAddressesOfAllPods) {
  keeper_->Expect("a", {Ip("10.0.0.1"), Ip("fd00::1")});
  keeper_->Expect("b", {Ip("10.0.0.2")});
  StartFlush();
  Run();
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Read(), testing::ElementsAre(Ip("10.0.0.1"), Ip("10.0.0.2"), Ip("fd00::1")));
}

TEST_F(ProbeKeeperTest, AnAddressThatTwoPodsShareStaysUntilBothAreOut) {
  keeper_->Expect("old", {Ip("10.0.0.1")});
  keeper_->Expect("new", {Ip("10.0.0.1")});
  keeper_->Expect("old", {});
  StartFlush();
  Run();
  EXPECT_THAT(Read(), testing::ElementsAre(Ip("10.0.0.1")));
  keeper_->Expect("new", {});
  StartFlush();
  Run();
  EXPECT_THAT(Read(), testing::IsEmpty());
}

TEST_F(ProbeKeeperTest, ChangesThatComeDuringATransactionAreInTheNext) {
  keeper_->Expect("a", {Ip("10.0.0.1")});
  StartFlush();
  io_.poll_one();
  for (const char* ip : {"10.0.0.2", "10.0.0.3", "10.0.0.4"}) {
    keeper_->Expect(ip, {Ip(ip)});
    StartFlush();
  }
  Run();
  EXPECT_EQ(ended_, 4);
  EXPECT_EQ(Read().size(), 4u);
}

TEST_F(ProbeKeeperTest, ATableThatSomebodyDeletedIsBackWithTheNextChange) {
  keeper_->Expect("a", {Ip("10.0.0.1")});
  StartFlush();
  Run();
  host_.Shell("nft flush ruleset");
  keeper_->Expect("b", {Ip("10.0.0.2")});
  StartFlush();
  Run();
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Read(), testing::ElementsAre(Ip("10.0.0.1"), Ip("10.0.0.2")));
}

TEST_F(ProbeKeeperTest, WhatSomebodyDidToTheSetIsRepairedByARenewal) {
  keeper_->Expect("a", {Ip("10.0.0.1"), Ip("10.0.0.2")});
  StartFlush();
  Run();
  host_.Shell("nft delete element inet ambit probes-v4 { 10.0.0.1 }");
  host_.Shell("nft add element inet ambit probes-v4 { 10.0.0.9 }");
  keeper_->Expect("b", {Ip("10.0.0.3")});
  StartRenew();
  Run();
  EXPECT_THAT(Read(), testing::ElementsAre(Ip("10.0.0.1"), Ip("10.0.0.2"), Ip("10.0.0.3")));
}

TEST_F(ProbeKeeperTest, ARenewalAskedForDuringATransactionIsTheNext) {
  keeper_->Expect("a", {Ip("10.0.0.1")});
  StartFlush();
  Run();
  host_.Shell("nft delete element inet ambit probes-v4 { 10.0.0.1 }");
  keeper_->Expect("b", {Ip("10.0.0.2")});
  StartFlush();
  io_.restart();
  io_.poll_one();
  StartRenew();
  Run();
  EXPECT_EQ(ended_, 3);
  EXPECT_THAT(Read(), testing::ElementsAre(Ip("10.0.0.1"), Ip("10.0.0.2")));
}

TEST_F(ProbeKeeperTest, WorkOnThePoolComesBackToTheLoopsThread) {
  auto loop = std::this_thread::get_id();
  std::thread::id worked;
  std::thread::id came_back;
  boost::asio::co_spawn(io_, OnPool(*pool_, [] { return std::this_thread::get_id(); }),
                        [&](const std::exception_ptr&, std::thread::id id) {
                          worked = id;
                          came_back = std::this_thread::get_id();
                        });
  Run();
  EXPECT_TRUE(worked != loop);
  EXPECT_TRUE(came_back == loop);
}

}  // namespace
}  // namespace ambit::effects
