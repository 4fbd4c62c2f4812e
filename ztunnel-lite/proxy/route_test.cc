#include "ztunnel-lite/proxy/route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/route_fixture.h"

namespace ambit::proxy {
namespace {

using state::GatewayAddress;
using state::NamespacedHostname;
using state::NetworkAddress;
using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(const Result<OutboundRoute>& route) {
  return route ? "no error" : route.error().message();
}

TEST(RouteOutbound, AnUnknownDestinationPassesThroughUntouched) {
  TestMesh t;
  auto route = t.Route("1.1.1.1:443");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->carrier, Carrier::kTcp);
  EXPECT_EQ(route->next_hop.ToString(), "1.1.1.1:443");
  EXPECT_EQ(route->destination, nullptr);
  EXPECT_EQ(route->service, nullptr);
}

TEST(RouteOutbound, AMeshPodIsReachedByHboneOnItsOwnAddress) {
  TestMesh t;
  t.Add(MakePod("web", "10.0.0.2"));
  auto route = t.Route("10.0.0.2:8080");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->carrier, Carrier::kHbone);
  EXPECT_EQ(route->next_hop.ToString(), "10.0.0.2:15008");
  EXPECT_EQ(route->authority, "10.0.0.2:8080");
  EXPECT_THAT(route->expected_sans, ElementsAre(SpiffeOf("web")));
  EXPECT_EQ(route->destination->name, "web");
}

TEST(RouteOutbound, APodOutsideTheMeshIsReachedInPlaintext) {
  TestMesh t;
  state::Workload pod = MakePod("web", "10.0.0.2");
  pod.tunnel_protocol = state::TunnelProtocol::kNone;
  t.Add(pod);
  auto route = t.Route("10.0.0.2:8080");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->carrier, Carrier::kTcp);
  EXPECT_EQ(route->next_hop.ToString(), "10.0.0.2:8080");
  EXPECT_EQ(route->destination->name, "web");
}

TEST(RouteOutbound, AServiceAddressIsTranslatedToAnEndpoint) {
  TestMesh t;
  auto web = MakeService("web", "10.96.0.9");
  web.subject_alt_names = {"spiffe://other/ns/a/sa/b", "not a spiffe id"};
  t.Add(web);
  t.Add(MakePod("web", "10.0.0.2"), web);
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route.has_value()) << ErrorOf(route);
  EXPECT_EQ(route->next_hop.ToString(), "10.0.0.2:15008");
  EXPECT_EQ(route->authority, "10.0.0.2:8080");
  EXPECT_THAT(route->expected_sans, ElementsAre("spiffe://other/ns/a/sa/b", SpiffeOf("web")));
  EXPECT_EQ(route->service->hostname, web.hostname);
}

TEST(RouteOutbound, AServiceThatCannotServeTheCallIsAnErrorNotAPassthrough) {
  TestMesh t;
  auto empty = MakeService("empty", "10.96.0.1");
  auto sick = MakeService("sick", "10.96.0.2");
  auto named = MakeService("named", "10.96.0.3", {{80, 0}});
  for (const auto& service : {empty, sick, named}) t.Add(service);
  auto pod = MakePod("sick", "10.0.0.2");
  pod.healthy = false;
  t.Add(pod, sick);
  t.Add(MakePod("named", "10.0.0.3"), named);
  for (const char* destination : {"10.96.0.1:80", "10.96.0.2:80", "10.96.0.3:80", "10.96.0.1:81"}) {
    auto route = t.Route(destination);
    ASSERT_FALSE(route.has_value()) << destination;
    EXPECT_EQ(route.error().code(), ErrorCode::kUnavailable);
    EXPECT_THAT(ErrorOf(route), HasSubstr("no healthy upstream"));
  }
}

TEST(RouteOutbound, ANamedPortIsServedByTheEndpointsThatDefineIt) {
  TestMesh t;
  auto named = MakeService("named", "10.96.0.3", {{80, 0}});
  t.Add(named);
  t.Add(MakePod("without", "10.0.0.2"), named);
  t.Add(MakePod("with", "10.0.0.3"), named, {{80, 9000}});
  EXPECT_EQ(t.Route("10.96.0.3:80")->authority, "10.0.0.3:9000");
}

TEST(RouteOutbound, APassthroughServiceKeepsTheOriginalDestination) {
  TestMesh t;
  auto service = MakeService("ext", "10.96.0.9");
  service.balancing_mode = state::BalancingMode::kPassthrough;
  t.Add(service);
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->carrier, Carrier::kTcp);
  EXPECT_EQ(route->next_hop.ToString(), "10.96.0.9:80");
}

TEST(RouteOutbound, AServiceWithAWaypointGoesThereWithTheOriginalAuthority) {
  for (bool by_name : {true, false}) {
    TestMesh t;
    auto waypoint = MakeService("waypoint", "10.96.0.20", {{15008, 15008}});
    t.Add(waypoint);
    auto pod = MakePod("waypoint", "10.0.0.20");
    pod.tunnel_protocol = state::TunnelProtocol::kNone;  // a waypoint is always called by HBONE
    t.Add(pod, waypoint);
    auto web = MakeService("web", "10.96.0.9");
    web.waypoint = by_name ? GatewayAddress{NamespacedHostname{"default", waypoint.hostname}, 15008}
                           : GatewayAddress{NetworkAddress{"", Ip("10.96.0.20")}, 15008};
    t.Add(web);
    auto route = t.Route("10.96.0.9:80");
    ASSERT_TRUE(route.has_value()) << ErrorOf(route);
    EXPECT_EQ(route->carrier, Carrier::kHbone);
    EXPECT_EQ(route->next_hop.ToString(), "10.0.0.20:15008");
    EXPECT_EQ(route->authority, "10.96.0.9:80");
    EXPECT_THAT(route->expected_sans, ElementsAre(SpiffeOf("waypoint")));
    EXPECT_EQ(route->destination->name, "waypoint");
    EXPECT_EQ(route->service->name, "web");
  }
}

TEST(RouteOutbound, AWaypointThatIsUnknownOrEmptyIsAnError) {
  TestMesh t;
  t.Add(MakeService("waypoint", "10.96.0.20", {{15008, 15008}}));
  auto web = MakeService("web", "10.96.0.9");
  t.Add(MakePod("web", "10.0.0.2"), web);
  for (const char* name : {"waypoint.default.svc.cluster.local", "missing"}) {
    web.waypoint = GatewayAddress{NamespacedHostname{"default", name}, 15008};
    t.Add(web);
    auto route = t.Route("10.96.0.9:80");
    ASSERT_FALSE(route.has_value());
    EXPECT_EQ(route.error().code(), ErrorCode::kUnavailable);
    EXPECT_THAT(ErrorOf(route), HasSubstr("unknown waypoint"));
  }
}

TEST(RouteOutbound, WeightedWaypointsAreDrawnByWeightAndFallBackToThePlainOne) {
  TestMesh t;
  for (const char* name : {"one", "two", "plain"}) {
    auto pod = MakePod(name, std::string("10.0.1.") + std::to_string(name[0] % 100));
    pod.hostname = name;
    t.Add(pod);
  }
  auto web = MakeService("web", "10.96.0.9");
  auto reference = [](const char* name) {
    return GatewayAddress{NamespacedHostname{"default", name}, 15008};
  };
  web.waypoint = reference("plain");
  web.weighted_waypoints = {{reference("one"), 1}, {reference("two"), 3}};
  t.Add(web);
  std::map<std::string, int> hits;
  for (t.random.draw = 0; t.random.draw < 4; ++t.random.draw) {
    ++hits[t.Route("10.96.0.9:80")->destination->name];
  }
  EXPECT_EQ(hits["one"], 1);
  EXPECT_EQ(hits["two"], 3);
  web.weighted_waypoints = {{reference("one"), 0}};
  t.Add(web);
  EXPECT_EQ(t.Route("10.96.0.9:80")->destination->name, "plain");
}

TEST(RouteOutbound, AWorkloadsWaypointIsUsedUnlessTheServiceWasCalled) {
  TestMesh t;
  t.Add(MakePod("waypoint", "10.0.0.20"));
  auto web = MakeService("web", "10.96.0.9");
  t.Add(web);
  auto pod = MakePod("web", "10.0.0.2");
  pod.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.20")}, 15008};
  t.Add(pod, web);
  auto direct = t.Route("10.0.0.2:8080");
  ASSERT_TRUE(direct.has_value()) << ErrorOf(direct);
  EXPECT_EQ(direct->next_hop.ToString(), "10.0.0.20:15008");
  EXPECT_EQ(direct->authority, "10.0.0.2:8080");
  EXPECT_EQ(t.Route("10.96.0.9:80")->next_hop.ToString(), "10.0.0.2:15008");
}

TEST(RouteOutbound, TheWaypointItselfGoesStraightToTheWorkload) {
  for (bool by_service : {false, true}) {
    TestMesh t;
    auto waypoint = MakeService("waypoint", "10.96.0.20", {{15008, 15008}});
    auto pod = MakePod("web", "10.0.0.2");
    if (by_service) {
      t.Add(waypoint);
      t.Add(t.source, waypoint);
      pod.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.96.0.20")}, 15008};
    } else {
      pod.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.1")}, 15008};
    }
    t.Add(pod);
    EXPECT_EQ(t.Route("10.0.0.2:8080")->next_hop.ToString(), "10.0.0.2:15008");
  }
}

TEST(RouteOutbound, AWorkloadBehindAnAddressIsCalledItselfEvenIfAServiceHasTheAddressToo) {
  TestMesh t;
  auto web = MakeService("web", "10.0.0.2");
  web.waypoint = GatewayAddress{NamespacedHostname{"default", "missing"}, 15008};
  t.Add(web);
  t.Add(MakePod("web", "10.0.0.2"), web);
  auto route = t.Route("10.0.0.2:80");
  ASSERT_TRUE(route.has_value()) << ErrorOf(route);
  EXPECT_EQ(route->authority, "10.0.0.2:8080");
}

TEST(RouteOutbound, AHostNetworkPodIsNotKnownByItsNodesAddress) {
  TestMesh t;
  auto pod = MakePod("node", "192.168.0.1");
  pod.host_network = true;
  auto service = MakeService("node", "10.96.0.9");
  t.Add(service);
  t.Add(pod, service);
  EXPECT_EQ(t.Route("192.168.0.1:8080")->destination, nullptr);
  EXPECT_EQ(t.Route("10.96.0.9:80")->destination->name, "node");
}

TEST(RouteOutbound, ADualStackEndpointKeepsTheCalledFamilyIfTheServiceAllowsIt) {
  struct Case {
    state::IpFamilies families;
    const char* called;
    const char* next_hop;
  };
  const Case cases[] = {
      {state::IpFamilies::kDual, "[fd00::9]:80", "[fd00::2]:15008"},
      {state::IpFamilies::kDual, "10.96.0.9:80", "10.0.0.2:15008"},
      {state::IpFamilies::kIpv6Only, "10.96.0.9:80", "[fd00::2]:15008"},
      {state::IpFamilies::kIpv4Only, "[fd00::9]:80", "10.0.0.2:15008"},
  };
  for (const auto& c : cases) {
    TestMesh t;
    auto service = MakeService("web", "10.96.0.9");
    service.vips.push_back({"", Ip("fd00::9")});
    service.ip_families = c.families;
    t.Add(service);
    auto pod = MakePod("web", "10.0.0.2");
    pod.addresses.push_back(Ip("fd00::2"));
    t.Add(pod, service);
    EXPECT_EQ(t.Route(c.called)->next_hop.ToString(), c.next_hop);
  }
}

TEST(RouteOutbound, AnEndpointWithOnlyAHostnameIsLeftToBeResolved) {
  TestMesh t;
  auto database = MakeService("database", "10.96.0.10");
  t.Add(database);
  auto pod = MakePod("database", "");
  pod.hostname = "db.example.com";
  pod.tunnel_protocol = state::TunnelProtocol::kNone;
  t.Add(pod, database);
  auto plain = t.Route("10.96.0.10:80");
  ASSERT_TRUE(plain && plain->resolve) << ErrorOf(plain);
  EXPECT_EQ(plain->resolve->hostname, "db.example.com");
  const std::vector<net::IpAddress> both = {Ip("fd00::7"), Ip("192.0.2.7"), Ip("192.0.2.8")};
  EXPECT_EQ(WithAddress(*plain, both, t.random).next_hop.ToString(), "192.0.2.7:8080");
  t.random.draw = 1;
  EXPECT_EQ(WithAddress(*plain, both, t.random).next_hop.ToString(), "192.0.2.8:8080");
  EXPECT_EQ(WithAddress(*plain, std::span(both).first(1), t.random).next_hop.ToString(),
            "[fd00::7]:8080");
  pod.tunnel_protocol = state::TunnelProtocol::kHbone;
  t.Add(pod, database);
  auto tunnelled = t.Route("10.96.0.10:80");
  ASSERT_TRUE(tunnelled && tunnelled->resolve);
  auto route = WithAddress(*tunnelled, std::span(both).subspan(1, 1), t.random);
  EXPECT_EQ(route.next_hop.ToString(), "192.0.2.7:15008");
  EXPECT_EQ(route.authority, "192.0.2.7:8080");
  EXPECT_FALSE(route.resolve);
}

TEST(RouteOutbound, TheNodeOfAWorkloadMakesNoDifference) {
  for (const char* node : {"here", "there"}) {
    for (auto protocol : {state::TunnelProtocol::kHbone, state::TunnelProtocol::kNone}) {
      TestMesh t;
      t.source.node = "here";
      auto pod = MakePod("web", "10.0.0.2");
      pod.node = node;
      pod.tunnel_protocol = protocol;
      pod.native_tunnel = true;
      t.Add(pod);
      bool hbone = protocol == state::TunnelProtocol::kHbone;
      auto route = t.Route("10.0.0.2:8080");
      EXPECT_EQ(route->carrier, hbone ? Carrier::kHbone : Carrier::kTcp) << node;
      EXPECT_EQ(route->next_hop.ToString(), hbone ? "10.0.0.2:15008" : "10.0.0.2:8080") << node;
    }
  }
}

TEST(RouteOutbound, TheClientsOwnWaypointIsForThoseWhoCallIt) {
  TestMesh t;
  t.source.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.20")}, 15008};
  t.Add(MakePod("waypoint", "10.0.0.20"));
  t.Add(MakePod("web", "10.0.0.2"));
  EXPECT_EQ(t.Route("10.0.0.2:8080")->next_hop.ToString(), "10.0.0.2:15008");
}

TEST(RouteOutbound, AnAddressOfAWaypointWinsOverTheCalledFamily) {
  TestMesh t;
  auto waypoint = MakePod("waypoint", "10.0.0.20");
  waypoint.addresses.push_back(Ip("fd00::20"));
  waypoint.hostname = "waypoint.example.com";
  t.Add(waypoint);
  auto pod = MakePod("web", "fd00::2");
  pod.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.20")}, 15008};
  t.Add(pod);
  auto by_address = t.Route("[fd00::2]:8080");
  EXPECT_EQ(by_address->next_hop.ToString(), "10.0.0.20:15008");
  EXPECT_EQ(by_address->authority, "[fd00::2]:8080");
  pod.waypoint = GatewayAddress{NamespacedHostname{"default", "waypoint.example.com"}, 15008};
  t.Add(pod);
  EXPECT_EQ(t.Route("[fd00::2]:8080")->next_hop.ToString(), "[fd00::20]:15008")
      << "a name follows the client's family";
}

TEST(RouteOutbound, APassthroughServiceMayHaveAWaypoint) {
  TestMesh t;
  t.Add(MakePod("waypoint", "10.0.0.20"));
  auto service = MakeService("ext", "10.96.0.9");
  service.balancing_mode = state::BalancingMode::kPassthrough;
  service.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.0.0.20")}, 15008};
  t.Add(service);
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route.has_value()) << ErrorOf(route);
  EXPECT_EQ(route->next_hop.ToString(), "10.0.0.20:15008");
  EXPECT_EQ(route->authority, "10.96.0.9:80");
}

TEST(RouteOutbound, AWaypointMayServeAPortOfItsOwn) {
  TestMesh t;
  auto waypoint = MakeService("waypoint", "10.96.0.20", {{15008, 15009}});
  t.Add(waypoint);
  t.Add(MakePod("waypoint", "10.0.0.20"), waypoint);
  auto web = MakeService("web", "10.96.0.9");
  web.waypoint = GatewayAddress{NetworkAddress{"", Ip("10.96.0.20")}, 15008};
  t.Add(web);
  EXPECT_EQ(t.Route("10.96.0.9:80")->next_hop.ToString(), "10.0.0.20:15009");
}

TEST(RouteOutbound, AServiceThatIsPrivateToAnotherNamespaceIsNotSeen) {
  TestMesh t;
  auto hidden = MakeService("hidden", "10.96.0.9");
  hidden.ns = "other";
  hidden.namespace_private = true;
  t.Add(hidden);
  t.Add(MakePod("web", "10.0.0.2"), hidden);
  EXPECT_EQ(t.Route("10.96.0.9:80")->service, nullptr) << "plain TCP, as to anybody";
  t.source.ns = "other";
  EXPECT_EQ(t.Route("10.96.0.9:80")->service->name, "hidden");
}

TEST(RouteOutbound, OfServicesWithOneAddressTheClientsNamespaceIsMeant) {
  TestMesh t;
  for (const char* ns : {"first", "default", "last"}) {
    auto service = MakeService(ns, "10.96.0.9");
    service.ns = ns;
    service.canonical = ns == std::string("last");
    t.Add(service);
    t.Add(MakePod(ns, "10.0.0.2"), service);
  }
  EXPECT_EQ(t.Route("10.96.0.9:80")->service->name, "default");
  t.source.ns = "elsewhere";
  EXPECT_EQ(t.Route("10.96.0.9:80")->service->name, "last") << "the canonical one";
}

TEST(RouteOutbound, OurOwnPortsAreRefusedOnLoopback) {
  TestMesh t;
  for (const char* own : {"127.0.0.1:15001", "127.0.0.1:15006", "[::1]:15008"}) {
    ASSERT_FALSE(t.Route(own).has_value()) << own;
    EXPECT_EQ(t.Route(own).error().code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(t.Route("127.0.0.1:8080").has_value());
}

}  // namespace
}  // namespace ambit::proxy
