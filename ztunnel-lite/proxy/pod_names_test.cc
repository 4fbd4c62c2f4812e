// Endpoints of which only a hostname is known.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

using telemetry::Reporter;
using testing::ConnectFrom;
using testing::EchoApp;
using ::testing::HasSubstr;

// Knows server.example.com, has never heard of nobody.example.com, and never answers for others.
class ShortTable : public names::HostResolver {
 public:
  explicit ShortTable(net::IpAddress server) : server_(server) {}

  std::unique_ptr<Question> Ask(const std::string& hostname, Done done) override {
    if (hostname == "server.example.com") done(names::Addresses{server_});
    if (hostname == "nobody.example.com") {
      done(Fail(ErrorCode::kUnavailable, "resolve " + hostname + ": not found"));
    }
    return std::make_unique<Question>();
  }

 private:
  const net::IpAddress server_;
};

class Hostnames : public testing::TwoNodes {
 protected:
  void SetUp() override {
    resolver_ = &table_;
    TwoNodes::SetUp();
  }
  // The service's one endpoint is that name, with HBONE or without.
  void NameServer(const std::string& hostname, state::TunnelProtocol protocol) {
    auto service = mesh_.FindServiceByAddress({"", At("10.96.0.9:80").address});
    auto server = WorkloadOf("server", "node-b", server_);
    server.services = {{service->Key(), {{80, 8080}}}};
    server.addresses.clear();
    server.hostname = hostname;
    server.tunnel_protocol = protocol;
    Announce(server);
  }

  ShortTable table_{server_.ipv4};
};

TEST_F(Hostnames, AreResolvedForEachConnectionAndCounted) {
  EchoApp app(server_.netns, ServerAt(8080));
  for (auto protocol : {state::TunnelProtocol::kHbone, state::TunnelProtocol::kNone}) {
    NameServer("server.example.com", protocol);
    auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
    ASSERT_TRUE(client.Send("hello"));
    EXPECT_EQ(client.Receive(), "hello");
  }
  auto counted = resolutions_.Collect();
  ASSERT_EQ(counted.metric.size(), 1u);
  EXPECT_EQ(counted.metric[0].counter.value, 2);
  EXPECT_EQ(counted.metric[0].label.back().value, "server.example.com");
}

TEST_F(Hostnames, ThatNobodyKnowsAreDeniedWithTheReason) {
  NameServer("nobody.example.com", state::TunnelProtocol::kNone);
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  EXPECT_EQ(client.Receive(), "<reset>");
  EXPECT_THAT(traffic_.WaitDenied(Reporter::kSource).error,
              HasSubstr("no valid destination: workload Kubernetes//Pod/default/server: resolve "
                        "nobody.example.com: not found"));
  EXPECT_EQ(traffic_.ended_count(), 0u);
}

TEST_F(Hostnames, ThatTakeLongDoNotHoldUpTheEndOfThePod) {
  NameServer("slow.example.com", state::TunnelProtocol::kNone);
  auto client = ConnectFrom(client_.netns, At("10.96.0.9:80"));
  client.Send("x");
  node_a_->Stop(InfoOf("client").uid);
  EXPECT_EQ(client.Receive(), "<reset>");
}

}  // namespace
}  // namespace ambit::proxy
