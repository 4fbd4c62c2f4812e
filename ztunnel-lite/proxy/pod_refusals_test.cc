#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

using std::chrono::milliseconds;
using telemetry::Flag;
using telemetry::Reporter;
using testing::AppListener;
using testing::ConnectFrom;
using testing::EchoApp;

class Refusals : public testing::TwoNodes {};

TEST_F(Refusals, AServerWithAnotherIdentityIsNotTrusted) {
  AppListener app(server_.netns, ServerAt(8080));
  credentials_.Impersonate(IdentityOf("server"), IdentityOf("mallory"));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  client.Send("secret");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto out = traffic_.WaitEnded(Reporter::kSource);
  EXPECT_EQ(out.flag, Flag::kTlsFailure);
  EXPECT_NE(out.error.find("mallory"), std::string::npos) << out.error;
  EXPECT_FALSE(app.HasConnection(milliseconds(50)));
}

TEST_F(Refusals, AClientOfAnotherTrustDomainIsRefusedAndSaidWhy) {
  auto foreign = IdentityOf("client");
  foreign.trust_domain = "elsewhere.example";
  credentials_.Impersonate(IdentityOf("client"), foreign);
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  client.Send("secret");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto denied = traffic_.WaitDenied(Reporter::kDestination);
  EXPECT_NE(denied.error.find("elsewhere.example"), std::string::npos) << denied.error;
}

TEST_F(Refusals, APolicyThatDeniesIsSeenAsAResetAndLogged) {
  AppListener app(server_.netns, ServerAt(8080));
  DenyPort(8080);
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  auto in = traffic_.WaitEnded(Reporter::kDestination);
  EXPECT_EQ(in.flag, Flag::kDeny);
  EXPECT_NE(in.error.find("default/no-entry"), std::string::npos) << in.error;
  EXPECT_NE(traffic_.WaitEnded(Reporter::kSource).error.find("401"), std::string::npos);
  EXPECT_FALSE(app.HasConnection(milliseconds(50)));
}

TEST_F(Refusals, APolicyHoldsForPlaintextToo) {
  DenyPort(8080);
  auto client = ConnectFrom(stranger_.netns, ServerAt(8080));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  EXPECT_EQ(traffic_.WaitEnded(Reporter::kDestination).flag, Flag::kDeny);
}

TEST_F(Refusals, ThePortsOfTheTunnelAreNoWayIn) {
  for (uint16_t port : {15001, 15006}) {
    traffic_.Clear();
    auto client = ConnectFrom(stranger_.netns, ServerAt(port));
    client.Send("x");
    EXPECT_EQ(client.Receive(), "<reset>") << port;
    EXPECT_EQ(traffic_.WaitDenied(Reporter::kDestination).destination.port, port);
  }
  for (uint16_t port : {15001, 15006, 15008}) {
    auto client = ConnectFrom(client_.netns, ServerAt(port));
    client.Send("x");
    std::string got = client.Receive();
    EXPECT_TRUE(got == "<reset>" || got.empty()) << port << got;
  }
  for (uint16_t port : {15001, 15006}) {
    auto self = ConnectFrom(client_.netns, At("127.0.0.1:" + std::to_string(port)));
    self.Send("x");
    EXPECT_EQ(self.Receive(), "<reset>") << port;
  }
}

TEST_F(Refusals, ABlackHoledPeerDoesNotBlockOthers) {
  auto hole = WorkloadOf("hole", "node-c", stranger_);
  hole.addresses = {net::IpAddress::Parse("10.9.0.99").value()};
  Announce(hole);
  network_.BlackHole(client_, hole.addresses[0]);
  std::vector<testing::AppSocket> stuck;
  for (int i = 0; i < 200; ++i) {
    stuck.push_back(ConnectFrom(client_.netns, {hole.addresses[0], 80}));
  }
  EXPECT_TRUE(traffic_.WaitOpen(Reporter::kSource, 200));
  EchoApp app(server_.netns, ServerAt(8080));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(testing::RunClients(client_.netns, ServerAt(8080), 20, 100), 20);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST_F(Refusals, APodThatTheControlPlaneDoesNotKnowWaitsAndIsThenServed) {
  mesh_.RemoveAddress("Kubernetes//Pod/default/client");
  mesh_.Commit();
  AppListener app(server_.netns, ServerAt(8080));
  auto client = ConnectFrom(client_.netns, ServerAt(8080));
  client.Send("patience");
  EXPECT_FALSE(app.HasConnection(milliseconds(100)));
  Announce(WorkloadOf("client", "node-a", client_));
  EXPECT_EQ(app.Accept().socket.Receive(), "patience");
}

}  // namespace
}  // namespace ambit::proxy
