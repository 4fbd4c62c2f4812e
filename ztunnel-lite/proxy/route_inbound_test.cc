#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/route_fixture.h"

namespace ambit::proxy {
namespace {

using state::GatewayAddress;
using state::NamespacedHostname;
using state::NetworkAddress;
using testing::HasSubstr;

Result<InboundRoute> Inbound(TestMesh& t, const state::Workload& local,
                             const std::string& authority, const std::string& host = "") {
  return RouteInbound(t.mesh, {std::make_shared<const state::Workload>(local), "", authority,
                               At("10.0.0.2:15008"), host});
}

TEST(RouteInbound, ThePodsOwnAddressLeadsToTheNamedPort) {
  TestMesh t;
  auto route = Inbound(t, MakePod("web", "10.0.0.2"), "10.0.0.2:8080");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->app.ToString(), "10.0.0.2:8080");
}

TEST(RouteInbound, AnAuthorityThatDoesNotParseOrIsNotThisPodsIsInvalid) {
  TestMesh t;
  for (const char* authority :
       {"", "10.0.0.2", ":80", "10.0.0.2:", "10.0.0.2:x", "10.0.0.2:0", "10.0.0.2:70000",
        "user@host:80", "a:b:80", "[::1:80", "10.0.0.3:8080", "[fd00::1]:80"}) {
    auto route = Inbound(t, MakePod("web", "10.0.0.2"), authority);
    ASSERT_FALSE(route.has_value()) << authority;
    EXPECT_EQ(route.error().code(), ErrorCode::kInvalidArgument) << authority;
  }
}

TEST(RouteInbound, AnAppThatWantsAProxyHeaderIsToldWhatWasCalled) {
  TestMesh t;
  auto web = MakeService("web", "fd00::9");
  web.vips.push_back({"elsewhere", Ip("10.96.0.8")});
  web.vips.push_back({"", Ip("10.96.0.9")});
  t.Add(web);
  auto pod = MakePod("web", "10.0.0.2");
  pod.services[web.Key()] = {};
  pod.application_tunnel = state::ApplicationTunnel{.proxy_protocol = true, .port = 9000};
  auto by_address = Inbound(t, pod, "10.0.0.7:8080");
  EXPECT_EQ(by_address->app.ToString(), "10.0.0.2:9000");
  EXPECT_EQ(by_address->proxy_header->endpoint.ToString(), "10.0.0.7:8080");
  EXPECT_EQ(by_address->proxy_header->service_hostname, "");
  EXPECT_EQ(Inbound(t, pod, "10.0.0.7:8080", web.hostname)->proxy_header->service_hostname,
            web.hostname);
  auto by_name = Inbound(t, pod, web.hostname + ":80");
  EXPECT_EQ(by_name->proxy_header->endpoint.ToString(), "10.96.0.9:80");
  EXPECT_EQ(by_name->proxy_header->service_hostname, web.hostname);
  pod.application_tunnel->proxy_protocol = false;
  EXPECT_FALSE(Inbound(t, pod, "10.0.0.7:8080")->proxy_header.has_value());
}

TEST(RouteInbound, AHostnameWithoutAddressIsNothingToPutIntoAProxyHeader) {
  TestMesh t;
  auto web = MakeService("web", "");
  t.Add(web);
  auto pod = MakePod("web", "10.0.0.2");
  pod.services[web.Key()] = {};
  pod.application_tunnel = state::ApplicationTunnel{.proxy_protocol = true, .port = 9000};
  auto route = Inbound(t, pod, web.hostname + ":80");
  ASSERT_FALSE(route.has_value());
  EXPECT_EQ(route.error().code(), ErrorCode::kUnavailable);
}

TEST(RouteInbound, OurOwnPortsAreUnavailable) {
  TestMesh t;
  for (const char* authority : {"10.0.0.2:15001", "10.0.0.2:15006", "10.0.0.2:15008"}) {
    auto route = Inbound(t, MakePod("web", "10.0.0.2"), authority);
    ASSERT_FALSE(route.has_value());
    EXPECT_EQ(route.error().code(), ErrorCode::kUnavailable);
  }
}

TEST(RouteInbound, AHostnameLeadsToTheServicesTargetPortOnThisPod) {
  TestMesh t;
  auto web = MakeService("web", "10.96.0.9", {{80, 8080}, {81, 0}});
  t.Add(web);
  auto pod = MakePod("web", "10.0.0.2");
  pod.services[web.Key()] = {};
  EXPECT_EQ(Inbound(t, pod, web.hostname + ":80")->app.ToString(), "10.0.0.2:8080");
  pod.services[web.Key()] = {{80, 9000}, {81, 9001}};
  EXPECT_EQ(Inbound(t, pod, web.hostname + ":80")->app.ToString(), "10.0.0.2:9000");
  EXPECT_EQ(Inbound(t, pod, web.hostname + ":81")->app.ToString(), "10.0.0.2:9001");
  EXPECT_EQ(Inbound(t, pod, web.hostname + ":80")->service->name, "web");
  for (const auto& bad : {web.hostname + ":82", std::string("unknown:80")}) {
    auto route = Inbound(t, pod, bad);
    ASSERT_FALSE(route.has_value()) << bad;
    EXPECT_EQ(route.error().code(), ErrorCode::kUnavailable);
  }
}

TEST(RouteInbound, AWaypointTakesConnectionsForTheAddressesThatNameIt) {
  TestMesh t;
  auto waypoint = MakeService("waypoint", "10.96.0.20", {{15008, 15008}});
  t.Add(waypoint);
  auto pod = MakePod("waypoint", "10.0.0.2");
  t.Add(pod, waypoint);
  auto web = MakeService("web", "10.96.0.9");
  t.Add(web);
  EXPECT_FALSE(Inbound(t, pod, "10.96.0.9:80").has_value());
  web.namespace_private = true;
  web.waypoint = GatewayAddress{NamespacedHostname{"default", waypoint.hostname}, 15008};
  t.Add(web);
  auto route = Inbound(t, pod, "10.96.0.9:80");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->app.ToString(), "10.0.0.2:80");
  auto behind = MakePod("behind", "10.0.0.3");
  behind.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.2")}, 15008};
  t.Add(behind);
  EXPECT_TRUE(Inbound(t, pod, "10.0.0.3:80").has_value());
  EXPECT_FALSE(Inbound(t, MakePod("other", "10.0.0.2"), "10.96.0.9:80").has_value());
}

TEST(RouteInbound, AWaypointOfWeightIsOneOfThoseThatAreNamed) {
  TestMesh t;
  auto pod = MakePod("waypoint", "10.0.0.2");
  t.Add(pod);
  auto web = MakeService("web", "10.96.0.9");
  web.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.20")}, 15008};
  web.weighted_waypoints = {{GatewayAddress{NetworkAddress{"", Ip("10.0.0.21")}, 15008}, 1}};
  t.Add(web);
  EXPECT_FALSE(Inbound(t, pod, "10.96.0.9:80").has_value());
  web.weighted_waypoints.push_back({GatewayAddress{NetworkAddress{"", Ip("10.0.0.2")}, 15008}, 1});
  t.Add(web);
  EXPECT_TRUE(Inbound(t, pod, "10.96.0.9:80").has_value());
}

// What a pod at 10.0.0.2 with service web, 10.96.0.9:80, takes under which name.
struct Matrix : TestMesh {
  Matrix() {
    waypoint = MakeService("waypoint", "10.96.0.20", {{15008, 15008}});
    Add(waypoint);
    web = MakeService("web", "10.96.0.9");
    Add(web);
    pod.services[web.Key()] = {};
  }
  std::string Reach(const std::string& authority) {
    auto route = Inbound(*this, pod, authority);
    if (route) return route->app.ToString();
    return route.error().code() == ErrorCode::kInvalidArgument ? "400" : "503";
  }
  // Web is behind the waypoint service, of which the pod is an endpoint or not.
  void Attach(bool endpoint) {
    web.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.96.0.20")}, 15008};
    Add(web);
    if (endpoint) pod.services[waypoint.Key()] = {};
    Add(pod);
  }

  state::Service waypoint, web;
  state::Workload pod = MakePod("pod", "10.0.0.2");
};

TEST(RouteInbound, FollowsTheMatrixOfPodServiceWaypointAndApplicationTunnel) {
  const std::string name = "web.default.svc.cluster.local:80";
  {
    Matrix plain;
    EXPECT_EQ(plain.Reach("10.0.0.2:8080"), "10.0.0.2:8080");
    EXPECT_EQ(plain.Reach(name), "10.0.0.2:8080");
    EXPECT_EQ(plain.Reach("10.96.0.9:80"), "400") << "its own service, but no waypoint";
    EXPECT_EQ(plain.Reach("10.0.0.3:8080"), "400");
  }
  {
    Matrix behind;
    behind.Attach(true);
    EXPECT_EQ(behind.Reach("10.96.0.9:80"), "10.0.0.2:80") << "the waypoint's own port";
  }
  {
    Matrix elsewhere;
    elsewhere.Attach(false);
    EXPECT_EQ(elsewhere.Reach("10.96.0.9:80"), "400") << "attached to another waypoint";
  }
  {
    Matrix tunnel;
    tunnel.pod.application_tunnel = state::ApplicationTunnel{false, 15088};
    EXPECT_EQ(tunnel.Reach("10.0.0.3:8080"), "10.0.0.2:15088");
    EXPECT_EQ(tunnel.Reach(name), "10.0.0.2:15088");
    EXPECT_EQ(tunnel.Reach("unknown.example.com:80"), "503");
    tunnel.pod.application_tunnel->port = 0;
    EXPECT_EQ(tunnel.Reach("10.0.0.3:8080"), "10.0.0.2:8080");
  }
}

TEST(RouteInbound, AHiddenServiceIsNoNameOutsideItsNamespace) {
  Matrix t;
  t.web.namespace_private = true;
  t.web.ns = "other";
  t.Add(t.web);
  t.mesh.RemoveAddress("default/" + t.web.hostname);
  t.pod.services[t.web.Key()] = {};
  EXPECT_EQ(t.Reach("web.default.svc.cluster.local:80"), "503");
  t.pod.ns = "other";
  EXPECT_EQ(t.Reach("web.default.svc.cluster.local:80"), "10.0.0.2:8080");
}

TEST(RouteInbound, AnApplicationTunnelReplacesThePortAfterTheCheckOfOurOwn) {
  TestMesh t;
  auto pod = MakePod("waypoint", "10.0.0.2");
  pod.application_tunnel = state::ApplicationTunnel{false, 15088};
  EXPECT_EQ(Inbound(t, pod, "10.96.0.9:80")->app.ToString(), "10.0.0.2:15088");
  EXPECT_FALSE(Inbound(t, pod, "10.96.0.9:15008").has_value());
}

TEST(GuessService, PrefersTheForwardedHostThenThePort) {
  TestMesh t;
  auto one = MakeService("one", "10.96.0.1", {{80, 8080}});
  auto two = MakeService("two", "10.96.0.2", {{80, 8080}});
  auto own = MakeService("zown", "10.96.0.3", {{80, 0}});
  for (const auto& service : {one, two, own}) t.Add(service);
  auto pod = MakePod("web", "10.0.0.2");
  pod.services = {{one.Key(), {}}, {two.Key(), {}}, {own.Key(), {{80, 9000}}}};
  EXPECT_EQ(GuessService(t.mesh, pod, 8080, "")->name, "one");
  EXPECT_EQ(GuessService(t.mesh, pod, 8080, two.hostname)->name, "two");
  EXPECT_EQ(GuessService(t.mesh, pod, 8080, "stranger")->name, "one");
  EXPECT_EQ(GuessService(t.mesh, pod, 9000, "")->name, "zown");
  EXPECT_EQ(GuessService(t.mesh, pod, 1, ""), nullptr);
}

}  // namespace
}  // namespace ambit::proxy
