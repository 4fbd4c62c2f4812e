#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

using telemetry::Flag;
using telemetry::Reporter;
using testing::AppListener;
using testing::ConnectFrom;

// Each node has lists and rules of its own.
class Peers : public testing::TwoNodes {
 protected:
  Peers() {
    rules_a_.revocations = &revocations_a_;
    rules_b_.revocations = &revocations_b_;
    peer_rules_a_ = &rules_a_;
    peer_rules_b_ = &rules_b_;
    config_a_.worker_threads = 1;  // one worker, one tunnel
  }
  static double Rejections(const prometheus::Registry& registry, const std::string& reporter) {
    double count = 0;
    for (const auto& family : registry.Collect()) {
      if (family.name != "istio_crl_policy_rejections_total") continue;
      for (const auto& metric : family.metric) {
        if (metric.label.at(0).value == reporter) count += metric.counter.value;
      }
    }
    return count;
  }

  prometheus::Registry metrics_a_, metrics_b_;
  tls::Revocations revocations_a_{metrics_a_}, revocations_b_{metrics_b_};
  tls::PeerRules rules_a_, rules_b_;
};

TEST_F(Peers, AServerRefusesARevokedClient) {
  revocations_b_.Replace(credentials_.Revoke({IdentityOf("client")}));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  EXPECT_EQ(client.Receive(), "<reset>");
  EXPECT_NE(traffic_.WaitDenied(Reporter::kDestination).error.find("has been revoked"),
            std::string::npos);
  EXPECT_GE(Rejections(metrics_b_, "destination"), 1);
  EXPECT_EQ(Rejections(metrics_b_, "source"), 0);
}

TEST_F(Peers, AClientRefusesARevokedServer) {
  revocations_a_.Replace(credentials_.Revoke({IdentityOf("server")}));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  EXPECT_EQ(client.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_NE(out.error.find("has been revoked"), std::string::npos) << out.error;
  EXPECT_EQ(out.flag, Flag::kTlsFailure);
  EXPECT_GE(Rejections(metrics_a_, "source"), 1);
}

// Two connections in one tunnel, which goes down as a whole and counts once.
TEST_F(Peers, ListsThatComeLaterEndTheTunnelsOfAServerOnce) {
  AppListener app(server_.netns, ServerAt(8080));
  auto first = ConnectFrom(client_.netns, ServerAt(8080));
  auto served = app.Accept();
  auto second = ConnectFrom(client_.netns, ServerAt(8080));
  auto also_served = app.Accept();
  revocations_b_.Replace(credentials_.Revoke({IdentityOf("stranger")}));
  node_b_->RecheckPeers();
  ASSERT_TRUE(first.Send("still good"));
  ASSERT_EQ(served.socket.Receive(), "still good");
  revocations_b_.Replace(credentials_.Revoke({IdentityOf("client")}));
  node_b_->RecheckPeers();
  for (auto* end : {&served.socket, &also_served.socket, &first, &second}) {
    EXPECT_EQ(end->Receive(), "<reset>");
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(traffic_.WaitEnded(Reporter::kDestination).flag, Flag::kCertRevoked);
  }
  node_b_->RecheckPeers();
  EXPECT_EQ(ConnectFrom(client_.netns, ServerAt(8080)).Receive(), "<reset>");
  // One for the tunnel, one for the handshake after it.
  traffic_.WaitDenied(Reporter::kDestination);
  EXPECT_EQ(Rejections(metrics_b_, "destination"), 2);
}

TEST_F(Peers, ListsThatComeLaterEndTheTunnelsOfAClient) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  auto served = app.Accept();
  ASSERT_TRUE(served.socket.Send("hello"));
  ASSERT_EQ(client.Receive(), "hello");
  revocations_a_.Replace(credentials_.Revoke({IdentityOf("server")}));
  node_a_->RecheckPeers();
  EXPECT_EQ(client.Receive(), "<reset>");
  EXPECT_EQ(served.socket.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.flag, Flag::kCertRevoked);
  EXPECT_NE(out.error.find("has been revoked"), std::string::npos) << out.error;
  EXPECT_EQ(Rejections(metrics_a_, "source"), 1);
}

TEST_F(Peers, AnotherTrustDomainIsRefusedUnlessItIsAnAlias) {
  state::Identity moved = IdentityOf("client");
  moved.trust_domain = "old.td";
  credentials_.Impersonate(IdentityOf("client"), moved);
  EXPECT_EQ(ConnectFrom(client_.netns, ServerAt(8080)).Receive(), "<reset>");
  rules_b_.trust_domains = {"cluster.local", "old.td"};
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  ASSERT_TRUE(client.Send("hello"));
  EXPECT_EQ(app.Accept().socket.Receive(), "hello");
}

TEST_F(Peers, AServerUnderAnAliasOfTheExpectedTrustDomainIsAccepted) {
  state::Identity moved = IdentityOf("server");
  moved.trust_domain = "new.td";
  credentials_.Impersonate(IdentityOf("server"), moved);
  rules_a_.trust_domains = rules_b_.trust_domains = {"cluster.local", "new.td"};
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  ASSERT_TRUE(client.Send("hello"));
  EXPECT_EQ(app.Accept().socket.Receive(), "hello");
}

// The policy speaks of the domain that the client's certificate no longer has.
TEST_F(Peers, APolicyHoldsForEveryNameOfATrustDomain) {
  rules_b_.trust_domains = {"cluster.local", "old.td"};
  auto policy = std::make_shared<state::Policy>();
  policy->resource_name = "default/no-client";
  policy->name = "no-client";
  policy->ns = "default";
  policy->action = state::PolicyAction::kDeny;
  state::PolicyMatch match;
  match.principals = {{state::StringMatch::Kind::kExact, "old.td/ns/default/sa/client"}};
  policy->rules = {{{match}}};
  mesh_.Upsert(state::PolicyPtr(policy));
  EXPECT_EQ(ConnectFrom(client_.netns, ServerAt(8080)).Receive(), "<reset>");
  EXPECT_EQ(traffic_.WaitEnded(Reporter::kDestination).flag, Flag::kDeny);
}

}  // namespace
}  // namespace ambit::proxy
