#include "ztunnel-lite/pod_lifecycle.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit {
namespace {

using proxy::testing::AppListener;
using proxy::testing::AppSocket;
using proxy::testing::ConnectFrom;
using telemetry::Flag;
using telemetry::Reporter;

// Writes down what is asked of the CA.
class RecordingSigner : public identity::Signer {
 public:
  void Sign(const state::Identity& identity, Done) override { asked.push_back(identity.Uri()); }
  std::vector<std::string> asked;
};

// The server's node has the lifecycle; what the control plane says reaches it as a commit of the
// state, and only so.
class PodLifecycleTest : public proxy::testing::TwoNodes {
 protected:
  struct Pair {
    AppSocket client;
    AppSocket served;
    bool Works() {
      client.Send("ping");
      return served.Receive() == "ping";
    }
    bool IsReset() { return served.Receive() == "<reset>" && client.Receive() == "<reset>"; }
  };

  void SetUp() override {
    TwoNodes::SetUp();
    lifecycle_ = std::make_unique<PodLifecycle>(config_b_, mesh_, cache_, *node_b_);
    auto started = lifecycle_->Start({"server-uid", "server", "default", "server"},
                                     server_.netns.Duplicate().value());
    ASSERT_TRUE(started) << started.error().message();
  }

  Pair Talk(const UniqueFd& from) {
    AppListener app(server_.netns, ServerAt(8080));
    Pair pair{ConnectFrom(from, ServerAt(8080)), {}};
    pair.client.Send("hello");
    pair.served = app.Accept().socket;
    EXPECT_EQ(pair.served.Receive(), "hello");
    return pair;
  }

  void AnnounceServer(std::vector<std::string> policies) {
    auto server = WorkloadOf("server", "node-b", server_);
    server.authorization_policies = std::move(policies);
    Announce(std::move(server));
  }

  static std::shared_ptr<state::Policy> PolicyNamed(const std::string& name) {
    auto policy = std::make_shared<state::Policy>();
    policy->resource_name = "default/" + name;
    policy->name = name;
    policy->ns = "default";
    return policy;
  }
  void Publish(std::shared_ptr<state::Policy> policy) {
    mesh_.Upsert(state::PolicyPtr(std::move(policy)));
    mesh_.Commit();
  }

  boost::asio::io_context control_;
  SystemClock clock_;
  observe::MemoryLog log_;
  RecordingSigner signer_;
  identity::CredentialCache cache_{signer_, control_, clock_, log_};
  std::unique_ptr<PodLifecycle> lifecycle_;
};

TEST_F(PodLifecycleTest, APolicyThatNowDeniesClosesOpenConnectionsAtOnce) {
  auto tunnelled = Talk(client_.netns);
  auto plain = Talk(stranger_.netns);
  DenyPort(8080);
  EXPECT_TRUE(tunnelled.IsReset());
  EXPECT_TRUE(plain.IsReset());
  auto ended = traffic_.WaitEnded(Reporter::kDestination);
  EXPECT_EQ(ended.flag, Flag::kDeny);
  EXPECT_NE(ended.error.find("closed due to policy change"), std::string::npos) << ended.error;
}

TEST_F(PodLifecycleTest, APolicyThatOnlyAllowsOthersClosesThoseThatItDoesNotName) {
  auto tunnelled = Talk(client_.netns);
  auto plain = Talk(stranger_.netns);
  auto policy = PolicyNamed("only-the-client");
  policy->action = state::PolicyAction::kAllow;
  state::PolicyMatch match;
  match.principals = {{state::StringMatch::Kind::kExact, "cluster.local/ns/default/sa/client"}};
  policy->rules = {{{match}}};
  Publish(policy);
  EXPECT_TRUE(plain.IsReset());
  EXPECT_TRUE(tunnelled.Works());
}

TEST_F(PodLifecycleTest, APolicyThatDoesNotDenyLeavesConnectionsOpen) {
  auto pair = Talk(client_.netns);
  DenyPort(9999);
  EXPECT_TRUE(pair.Works());
}

TEST_F(PodLifecycleTest, APolicyThatThePodIsGivenLaterClosesItsConnections) {
  auto pair = Talk(client_.netns);
  auto policy = PolicyNamed("selected");
  policy->scope = state::PolicyScope::kWorkloadSelector;
  policy->action = state::PolicyAction::kDeny;
  state::PolicyMatch match;
  match.destination_ports = {8080};
  policy->rules = {{{match}}};
  Publish(policy);
  EXPECT_TRUE(pair.Works());
  AnnounceServer({"default/selected"});
  EXPECT_TRUE(pair.IsReset());
}

TEST_F(PodLifecycleTest, AChangeOfWorkloadsAloneLeavesConnectionsOpen) {
  auto pair = Talk(client_.netns);
  Announce(WorkloadOf("stranger", "node-c", stranger_));
  EXPECT_TRUE(pair.Works());
}

TEST_F(PodLifecycleTest, APodThatStopsIsCutAndNoLongerJudged) {
  auto pair = Talk(client_.netns);
  lifecycle_->Stop("server-uid");
  EXPECT_TRUE(pair.IsReset());
  EXPECT_TRUE(node_b_->List().empty());
  DenyPort(8080);
  EXPECT_FALSE(ConnectFrom(stranger_.netns, ServerAt(15008)).valid());
}

TEST_F(PodLifecycleTest, APodsCertificateIsAskedForWhenItStarts) {
  EXPECT_EQ(signer_.asked, std::vector{IdentityOf("server").Uri()});
  ASSERT_EQ(cache_.List().size(), 1u);
  lifecycle_->Stop("server-uid");
  EXPECT_TRUE(cache_.List().empty());
}

TEST_F(PodLifecycleTest, APodWhoseListenersCannotBeBoundLeavesNothing) {
  lifecycle_->Stop("server-uid");
  AppListener taken(stranger_.netns, At("0.0.0.0:15008"));
  EXPECT_FALSE(lifecycle_->Start({"server-uid", "server", "default", "server"},
                                 stranger_.netns.Duplicate().value()));
  EXPECT_TRUE(node_b_->List().empty());
  EXPECT_TRUE(cache_.List().empty());
}

}  // namespace
}  // namespace ambit
