#include <gtest/gtest.h>

#include <future>

#include "ztunnel-lite/proxy/testing/test_netns.h"
#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

using std::chrono::milliseconds;
using telemetry::Flag;
using telemetry::Reporter;
using testing::AppListener;
using testing::AppSocket;
using testing::ConnectFrom;

class Lifecycle : public testing::TwoNodes {
 protected:
  struct Pair {
    AppSocket client;
    AppSocket served;
  };
  // A connection that carries bytes both ways.
  Pair Talk(const UniqueFd& from) {
    AppListener app(server_.netns, ServerAt(8080));
    Pair pair{ConnectFrom(from, ServerAt(8080)), {}};
    pair.client.Send("ping");
    pair.served = app.Accept().socket;
    EXPECT_EQ(pair.served.Receive(), "ping");
    pair.served.Send("pong");
    EXPECT_EQ(pair.client.Receive(), "pong");
    return pair;
  }
};

TEST_F(Lifecycle, AStoppedServerCutsItsConnections) {
  auto pair = Talk(client_.netns);
  auto plain = Talk(stranger_.netns);
  node_b_->Stop("server-uid");
  EXPECT_EQ(pair.served.Receive(), "<reset>");
  EXPECT_EQ(pair.client.Receive(), "<reset>");
  EXPECT_EQ(plain.served.Receive(), "<reset>");
  EXPECT_EQ(plain.client.Receive(), "<reset>");
  EXPECT_TRUE(node_b_->List().empty());
  EXPECT_FALSE(traffic_.WaitEnded(Reporter::kDestination).finished);
}

TEST_F(Lifecycle, AStoppedClientCutsItsConnections) {
  auto pair = Talk(client_.netns);
  node_a_->Stop("client-uid");
  EXPECT_EQ(pair.client.Receive(), "<reset>");
  EXPECT_EQ(pair.served.Receive(), "<reset>");
  EXPECT_FALSE(ConnectFrom(client_.netns, ServerAt(8080)).valid());
}

TEST_F(Lifecycle, APodThatWasStoppedCanStartAgain) {
  node_b_->Stop("server-uid");
  node_b_->Stop("server-uid");
  ASSERT_TRUE(node_b_->Start(InfoOf("server"), server_.netns.Duplicate().value()));
  Talk(client_.netns);
}

TEST_F(Lifecycle, TheSamePodInTheSameNamespaceIsLeftAlone) {
  auto pair = Talk(client_.netns);
  ASSERT_TRUE(node_b_->Start(InfoOf("server"), server_.netns.Duplicate().value()));
  pair.client.Send("still");
  EXPECT_EQ(pair.served.Receive(), "still");
}

TEST_F(Lifecycle, TheSamePodInAnotherNamespaceReplacesTheOldOne) {
  auto pair = Talk(client_.netns);
  auto other = testing::NewNetns();
  ASSERT_TRUE(node_b_->Start(InfoOf("server"), other.Duplicate().value()));
  EXPECT_EQ(pair.served.Receive(), "<reset>");
  EXPECT_EQ(node_b_->List().size(), 1u);
  EXPECT_TRUE(ConnectFrom(other, At("127.0.0.1:15008")).valid());
}

TEST_F(Lifecycle, ADrainWaitsForOpenConnectionsAndTakesNoNewOnes) {
  auto pair = Talk(client_.netns);
  auto drained = std::async(std::launch::async, [this] { node_b_->Drain(milliseconds(8000)); });
  while (testing::ListensOn(server_.netns, 15008)) std::this_thread::yield();
  pair.client.Send("still here");
  EXPECT_EQ(pair.served.Receive(), "still here");
  EXPECT_EQ(drained.wait_for(milliseconds(100)), std::future_status::timeout);
  pair.client.Close();
  EXPECT_EQ(pair.served.Receive(), "");
  pair.served.Close();
  EXPECT_EQ(drained.wait_for(milliseconds(3000)), std::future_status::ready);
  EXPECT_TRUE(traffic_.WaitEnded(Reporter::kDestination).finished);
}

TEST_F(Lifecycle, ADrainCutsWhatIsLeftAtItsDeadline) {
  auto pair = Talk(client_.netns);
  const auto begin = std::chrono::steady_clock::now();
  node_b_->Drain(milliseconds(100));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1500));
  EXPECT_EQ(pair.served.Receive(), "<reset>");
  EXPECT_EQ(pair.client.Receive(), "<reset>");
  EXPECT_FALSE(traffic_.WaitEnded(Reporter::kDestination).finished);
  EXPECT_FALSE(node_b_->Start(InfoOf("other"), server_.netns.Duplicate().value()));
}

TEST_F(Lifecycle, ADrainedPeerIsReplacedByANewTunnelWithoutAnError) {
  Talk(client_.netns);
  node_b_->Drain(milliseconds(3000));
  node_b_ = MakeNode(config_b_);
  ASSERT_TRUE(node_b_->Start(InfoOf("server"), server_.netns.Duplicate().value()));
  Talk(client_.netns);
}

TEST_F(Lifecycle, APolicyThatCutsOpenConnectionsSaysSo) {
  auto pair = Talk(client_.netns);
  auto plain = Talk(stranger_.netns);
  DenyPort(8080);
  node_b_->RecheckPolicies();
  EXPECT_EQ(pair.served.Receive(), "<reset>");
  EXPECT_EQ(pair.client.Receive(), "<reset>");
  EXPECT_EQ(plain.client.Receive(), "<reset>");
  auto in = traffic_.WaitEnded(Reporter::kDestination);
  EXPECT_EQ(in.flag, Flag::kDeny);
  EXPECT_NE(in.error.find("closed due to policy change"), std::string::npos) << in.error;
}

TEST_F(Lifecycle, APolicyThatAllowsLeavesConnectionsOpen) {
  auto pair = Talk(client_.netns);
  DenyPort(9999);
  node_b_->RecheckPolicies();
  pair.client.Send("still");
  EXPECT_EQ(pair.served.Receive(), "still");
}

TEST_F(Lifecycle, AFailedStartLeavesNothingBehind) {
  auto other = testing::NewNetns();
  {
    AppListener taken(other, At("0.0.0.0:15006"));
    EXPECT_FALSE(node_a_->Start(InfoOf("late"), other.Duplicate().value()));
  }
  EXPECT_EQ(node_a_->List().size(), 1u);
  EXPECT_TRUE(node_a_->Start(InfoOf("late"), other.Duplicate().value()));
}

TEST_F(Lifecycle, DestroyingEverythingUnderTrafficLeavesNoSocketCounted) {
  auto pair = Talk(client_.netns);
  auto stuck = ConnectFrom(stranger_.netns, ServerAt(15008));
  node_a_.reset();
  node_b_.reset();
  EXPECT_EQ(traffic_.sockets_open(), 0);
  EXPECT_EQ(pair.served.Receive(), "<reset>");
}

}  // namespace
}  // namespace ambit::proxy
