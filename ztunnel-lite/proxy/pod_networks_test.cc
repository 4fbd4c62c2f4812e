// Traffic to another network: a tunnel to its gateway, and inside it one to the server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/testing/test_gateway.h"
#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

using telemetry::Flag;
using telemetry::Reporter;
using testing::AppListener;
using testing::ConnectFrom;
using testing::EchoApp;
using ::testing::HasSubstr;
using testing::TestGateway;

constexpr char kServer[] = "spiffe://cluster.local/ns/default/sa/server";

// The server is on network "far", whose gateway, 10.9.0.3:15009, is all that the client knows of
// it.
class Networks : public testing::TwoNodes {
 protected:
  void SetUp() override {
    config_b_.network = "far";
    TwoNodes::SetUp();
    auto service = *mesh_.FindService({"default", "web.default.svc.cluster.local"});
    service.subject_alt_names = {kServer};
    mesh_.Upsert(std::make_shared<const state::Service>(service));
    auto gateway = WorkloadOf("gateway", "", stranger_);
    gateway.network = "far";
    Announce(gateway);
    auto server = WorkloadOf("server", "node-b", server_);
    server.services = {{service.Key(), {{80, 8080}}}};
    server.network = "far";
    server.addresses.clear();
    server.network_gateway =
        state::GatewayAddress{state::NetworkAddress{"far", stranger_.ipv4}, 15009};
    Announce(server);
    gateway_ =
        std::make_unique<TestGateway>(stranger_, 15009, CredentialOf("gateway"), ServerAt(15008));
  }

  std::unique_ptr<TestGateway> gateway_;
};

TEST_F(Networks, AServiceOfAnotherOneIsReachedThroughItsGateway) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  ASSERT_TRUE(client.Send("hello"));
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "hello");
  ASSERT_TRUE(served.socket.Send("welcome"));
  EXPECT_EQ(client.Receive(), "welcome");
  client.EndSending();
  EXPECT_EQ(served.socket.Receive(), "");
  served.socket.Send("after the half-close");
  served.socket.Close();
  EXPECT_EQ(client.ReceiveAll(100), "after the half-close");
  client.Close();

  auto outer = gateway_->Requests().at(0);
  EXPECT_EQ(outer.authority, "web.default.svc.cluster.local:80");
  EXPECT_EQ(outer.x_forwarded_network, std::nullopt);
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.info.destination.ToString(), "10.9.0.3:15009");
  EXPECT_EQ(out.info.hbone_authority, "web.default.svc.cluster.local:80");
  EXPECT_EQ(out.info.destination_identity, kServer);
  EXPECT_EQ(out.info.destination_workload->workload_name, "server") << "from its baggage";
  EXPECT_EQ(out.info.destination_workload->service_account, "server");
  EXPECT_TRUE(out.info.through_gateway);
  EXPECT_EQ(out.received, 5u);
  auto in = traffic_.WaitEnded(Reporter::kDestination);
  EXPECT_EQ(in.error, "");
  EXPECT_EQ(in.info.source.address, stranger_.ipv4);
  EXPECT_EQ(in.info.source_identity, "spiffe://cluster.local/ns/default/sa/client");
  ASSERT_TRUE(in.info.source_workload);
  EXPECT_EQ(in.info.source_workload->workload_name, "client") << "not the gateway's";
}

TEST_F(Networks, ConnectionsShareTheOuterTunnelOnly) {
  EchoApp app(server_.netns, ServerAt(8080));
  for (int i = 0; i < 20; ++i) {
    auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
    ASSERT_TRUE(client.Send("again"));
    ASSERT_EQ(client.Receive(), "again") << i;
  }
  EXPECT_EQ(gateway_->Requests().size(), 20u);
  // A tunnel for each of the client's workers at most.
  EXPECT_LE(gateway_->Tunnels(), 2u);
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kSource, 0));
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kDestination, 0));
}

TEST_F(Networks, FortyConnectionsAtOnceComeBackWhole) {
  EchoApp app(server_.netns, ServerAt(8080));
  EXPECT_EQ(testing::RunClients(client_.netns, At("10.96.0.9:80"), 40, 300000), 40);
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kSource, 0));
}

TEST_F(Networks, AResetOfEitherAppReachesTheOther) {
  for (bool by_client : {true, false}) {
    AppListener app(server_.netns, ServerAt(8080));
    auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
    client.Send("x");
    auto served = app.Accept();
    EXPECT_EQ(served.socket.Receive(), "x");
    (by_client ? client : served.socket).Reset();
    EXPECT_EQ((by_client ? served.socket : client).Receive(), "<reset>") << by_client;
  }
}

TEST_F(Networks, WhoAnswersMustBeOfTheService) {
  auto service = *mesh_.FindService({"default", "web.default.svc.cluster.local"});
  service.subject_alt_names = {"spiffe://cluster.local/ns/default/sa/other"};
  mesh_.Upsert(std::make_shared<const state::Service>(service));
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.flag, Flag::kTlsFailure);
  EXPECT_THAT(out.error, HasSubstr("through gateway 10.9.0.3:15009"));
  EXPECT_THAT(out.error, HasSubstr(kServer));
  EXPECT_EQ(out.info.destination_workload->name, "gateway") << "nobody else was heard of";
}

TEST_F(Networks, APolicyOfTheServerSeesTheClientAndNotTheGateway) {
  auto policy = std::make_shared<state::Policy>();
  policy->resource_name = "default/gateway-only";
  policy->ns = "default";
  state::PolicyMatch match;
  match.principals = {{state::StringMatch::Kind::kExact, "cluster.local/ns/default/sa/gateway"}};
  policy->rules = {{{match}}};
  mesh_.Upsert(state::PolicyPtr(policy));
  mesh_.Commit();
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_THAT(out.error, HasSubstr("401"));
  EXPECT_EQ(out.flag, Flag::kConnect);
  EXPECT_EQ(traffic_.WaitEnded(Reporter::kDestination).flag, Flag::kDeny);
}

TEST_F(Networks, AGatewayThatAnswersNothingIsGivenUp) {
  config_a_.response_timeout = std::chrono::milliseconds(100);
  node_a_ = MakeNode(config_a_);
  ASSERT_TRUE(node_a_->Start(InfoOf("client"), client_.netns.Duplicate().value()));
  gateway_->Swallow();
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.flag, Flag::kConnect);
  EXPECT_THAT(out.error, HasSubstr("no answer within 100 ms"));
}

TEST_F(Networks, AnUnknownGatewayIsDeniedBeforeAnyConnection) {
  mesh_.RemoveAddress(WorkloadOf("gateway", "", stranger_).uid);
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  EXPECT_THAT(traffic_.WaitDenied(Reporter::kSource).error, HasSubstr("unknown gateway"));
  EXPECT_EQ(traffic_.ended_count(), 0u);
}

}  // namespace
}  // namespace ambit::proxy
