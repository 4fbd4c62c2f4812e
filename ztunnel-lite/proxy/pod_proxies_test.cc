#include "ztunnel-lite/proxy/pod_proxies.h"

#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

using telemetry::Flag;
using telemetry::Reporter;
using testing::AppListener;
using testing::ConnectFrom;
using testing::EchoApp;

class Traffic : public testing::TwoNodes {};

TEST_F(Traffic, GoesThroughTheTunnelByPodAddress) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  ASSERT_TRUE(client.Send("hello"));
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "hello");
  ASSERT_TRUE(served.socket.Send("welcome"));
  EXPECT_EQ(client.Receive(), "welcome");
  client.Close();
  EXPECT_EQ(served.socket.Receive(), "");
  served.socket.Close();

  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.error, "");
  EXPECT_TRUE(out.info.mutual_tls);
  EXPECT_EQ(out.info.destination.ToString(), "10.9.0.2:15008");
  EXPECT_EQ(out.info.hbone_authority, "10.9.0.2:8080");
  EXPECT_EQ(out.info.called, "10.9.0.2:8080");
  EXPECT_EQ(out.info.source_identity, "spiffe://cluster.local/ns/default/sa/client");
  EXPECT_EQ(out.received, 5u);
  EXPECT_EQ(out.sent, 7u);
  auto in = traffic_.WaitEnded(Reporter::kDestination);
  EXPECT_EQ(in.error, "");
  EXPECT_EQ(in.info.source_identity, "spiffe://cluster.local/ns/default/sa/client");
  EXPECT_EQ(in.info.source.address, client_.ipv4);
  EXPECT_EQ(in.received, 5u);
  EXPECT_EQ(in.sent, 7u);
}

TEST_F(Traffic, TheAppSeesTheClientsOwnAddress) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  auto served = app.Accept();
  EXPECT_EQ(served.peer.address, client_.ipv4);
}

TEST_F(Traffic, WorksOverIpv6) {
  AppListener app(server_.netns, {server_.ipv6, 8080});
  auto client = ConnectFrom(client_.netns, {server_.ipv6, 8080});
  ASSERT_TRUE(client.Send("six"));
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "six");
  EXPECT_EQ(served.peer.address, client_.ipv6);
}

TEST_F(Traffic, AServiceAddressLeadsToItsEndpoint) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  ASSERT_TRUE(client.Send("by name"));
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "by name");
  client.Close();
  served.socket.Close();
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.info.called, "10.96.0.9:80");
  EXPECT_EQ(out.info.destination_service->hostname, "web.default.svc.cluster.local");
  auto in = traffic_.WaitEnded(Reporter::kDestination);
  ASSERT_TRUE(in.info.destination_service);
  EXPECT_EQ(in.info.destination_service->hostname, "web.default.svc.cluster.local");
  EXPECT_EQ(in.info.called, "web.default.svc.cluster.local");
}

TEST_F(Traffic, AnEndpointThatCannotBeReachedIsFollowedByTheNext) {
  // Two more pods of the service, of which nobody has ever heard on the wire: a closed HBONE port,
  // and a closed port of an app outside the mesh. One of three draws would reach the server.
  auto service = mesh_.FindServiceByAddress({"", At("10.96.0.9:80").address});
  auto tunnelled = WorkloadOf("closed", "node-b", stranger_);
  tunnelled.services = {{service->Key(), {{80, 8080}}}};
  Announce(tunnelled);
  auto plain = tunnelled;
  plain.uid += "-plain";
  plain.tunnel_protocol = state::TunnelProtocol::kNone;
  Announce(plain);
  EchoApp app(server_.netns, ServerAt(8080));
  for (int i = 0; i < 20; ++i) {
    auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
    ASSERT_TRUE(client.Send("again"));
    ASSERT_EQ(client.Receive(), "again") << i;
  }
}

TEST_F(Traffic, ASingleEndpointThatCannotBeReachedIsTriedOnce) {
  auto server = WorkloadOf("server", "node-b", server_);
  auto service = mesh_.FindServiceByAddress({"", At("10.96.0.9:80").address});
  server.services = {{service->Key(), {{80, 8080}}}};
  server.tunnel_protocol = state::TunnelProtocol::kNone;
  Announce(server);
  node_b_.reset();
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  EXPECT_EQ(traffic_.WaitEnded(Reporter::kSource).flag, Flag::kConnect);
  EXPECT_EQ(traffic_.ended_count(), 1u);
}

TEST_F(Traffic, TheServerMaySpeakFirst) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  auto served = app.Accept();
  ASSERT_TRUE(served.socket.Send("220 ready"));
  EXPECT_EQ(client.Receive(), "220 ready");
}

TEST_F(Traffic, AHalfCloseIsPassedOnEachWay) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  client.Send("request");
  client.EndSending();
  auto served = app.Accept();
  EXPECT_EQ(served.socket.ReceiveAll(7), "request");
  EXPECT_EQ(served.socket.Receive(), "");
  served.socket.Send("answer");
  EXPECT_EQ(client.ReceiveAll(6), "answer");
  served.socket.Close();
  EXPECT_EQ(client.Receive(), "");
}

TEST_F(Traffic, AResetOfTheClientReachesTheServer) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  client.Send("x");
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "x");
  client.Reset();
  EXPECT_EQ(served.socket.Receive(), "<reset>");
}

TEST_F(Traffic, AResetOfTheServerReachesTheClient) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  auto served = app.Accept();
  served.socket.Send("x");
  EXPECT_EQ(client.Receive(), "x");
  served.socket.Reset();
  EXPECT_EQ(client.Receive(), "<reset>");
}

TEST_F(Traffic, AnAppThatDoesNotListenIsSeenAsAReset) {
  auto client = ConnectFrom(client_.netns, ServerAt(8081));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.flag, Flag::kConnect);
  EXPECT_NE(out.error.find("503"), std::string::npos) << out.error;
  EXPECT_EQ(traffic_.WaitEnded(Reporter::kDestination).flag, Flag::kConnect);
}

TEST_F(Traffic, AnAppBehindAnApplicationTunnelIsToldWhoCalledWhat) {
  auto server = WorkloadOf("server", "node-b", server_);
  server.application_tunnel = state::ApplicationTunnel{.proxy_protocol = true, .port = 9090};
  Announce(std::move(server));
  for (const char* listens_at : {"127.0.0.1:9090", "10.9.0.2:9090"}) {
    config_b_.localhost_app_tunnel = At(listens_at).address.IsLoopback();
    node_b_ = MakeNode(config_b_);
    ASSERT_TRUE(node_b_->Start(InfoOf("server"), server_.netns.Duplicate().value()));
    AppListener app(server_.netns, At(listens_at));
    auto client = ConnectFrom(client_.netns, ServerAt(8080));
    ASSERT_TRUE(client.Send("hello"));
    auto served = app.Accept();
    constexpr size_t kHeader = 16 + 12 + 3 + 43;
    std::string got = served.socket.ReceiveAll(kHeader + 5);
    ASSERT_EQ(got.size(), kHeader + 5) << listens_at;
    EXPECT_EQ(HexEncode(AsBytes(got.substr(0, 20))), "0d0a0d0a000d0a515549540a2111003a0a090001");
    EXPECT_EQ(HexEncode(AsBytes(got.substr(20, 4))), "0a090002");
    EXPECT_EQ(got.substr(kHeader - 43), "spiffe://cluster.local/ns/default/sa/clienthello");
  }
}

TEST_F(Traffic, FromAStrangerArrivesInPlaintextWithItsAddress) {
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(stranger_.netns, ServerAt(8080));
  ASSERT_TRUE(client.Send("plain"));
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "plain");
  EXPECT_EQ(served.peer.address, stranger_.ipv4);
  ASSERT_TRUE(served.socket.Send("back"));
  EXPECT_EQ(client.Receive(), "back");
  served.socket.Close();
  EXPECT_EQ(client.Receive(), "");
  client.Close();
  auto in = traffic_.WaitEnded(Reporter::kDestination);
  EXPECT_FALSE(in.info.mutual_tls);
  EXPECT_EQ(in.received, 5u);
  EXPECT_EQ(in.sent, 4u);
}

TEST_F(Traffic, ToAStrangerLeavesInPlaintext) {
  AppListener app(stranger_.netns, {stranger_.ipv4, 7070});
  auto client = ConnectFrom(client_.netns, {stranger_.ipv4, 7070});
  ASSERT_TRUE(client.Send("plain"));
  auto served = app.Accept();
  EXPECT_EQ(served.socket.Receive(), "plain");
  EXPECT_EQ(served.peer.address, client_.ipv4);
  client.Close();
  served.socket.Close();
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_FALSE(out.info.mutual_tls);
  EXPECT_EQ(out.info.destination.ToString(), "10.9.0.3:7070");
}

TEST_F(Traffic, TwoThousandConnectionsAtOnceComeBackWhole) {
  EchoApp app(server_.netns, ServerAt(8080));
  EXPECT_EQ(testing::RunClients(client_.netns, ServerAt(8080), 2000, 3000), 2000);
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kSource, 0));
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kDestination, 0));
}

TEST_F(Traffic, TwoThousandPlaintextConnectionsAtOnceComeBackWhole) {
  EchoApp app(server_.netns, ServerAt(8080));
  EXPECT_EQ(testing::RunClients(stranger_.netns, ServerAt(8080), 2000, 3000), 2000);
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kDestination, 0));
}

}  // namespace
}  // namespace ambit::proxy
