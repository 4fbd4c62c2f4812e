// Destinations on another network, which only its gateway reaches.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/route_fixture.h"

namespace ambit::proxy {
namespace {

using state::BalancingMode;
using state::GatewayAddress;
using state::NamespacedHostname;
using state::NetworkAddress;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string ErrorOf(const Result<OutboundRoute>& route) {
  return route ? "no error" : route.error().message();
}

// Service web, 10.96.0.9:80, with a pod on network "far" of which only the gateway is known.
struct TwoNetworks : TestMesh {
  TwoNetworks() {
    source.network = "near";
    Add(source);
    web.vips = {{"near", Ip("10.96.0.9")}};
    web.subject_alt_names = {SpiffeOf("web"), SpiffeOf("web-waypoint")};
    Add(web);
    remote.network = "far";
    SetGateway(NetworkAddress{"far", Ip("192.0.2.1")});
    auto gateway = MakePod("gateway", "192.0.2.1");
    gateway.network = "far";
    Add(gateway);
  }
  void SetGateway(std::variant<NamespacedHostname, NetworkAddress> destination) {
    remote.network_gateway = GatewayAddress{std::move(destination), 15009};
    Add(remote, web);
  }

  state::Service web = MakeService("web", "");
  state::Workload remote = MakePod("remote", "");
};

TEST(RouteToAnotherNetwork, GoesThroughAGatewayByAddress) {
  TwoNetworks t;
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route.has_value()) << ErrorOf(route);
  EXPECT_EQ(route->carrier, Carrier::kDoubleHbone);
  EXPECT_EQ(route->next_hop.ToString(), "192.0.2.1:15009");
  EXPECT_EQ(route->authority, "web.default.svc.cluster.local:80") << "the service's own port";
  EXPECT_THAT(route->expected_sans, ElementsAre(SpiffeOf("gateway")));
  EXPECT_THAT(route->inner_sans, ElementsAre(SpiffeOf("web"), SpiffeOf("web-waypoint")));
  EXPECT_EQ(route->destination->name, "gateway");
  EXPECT_EQ(route->service->name, "web");
  t.web.subject_alt_names = {"not a spiffe id"};
  t.Add(t.web);
  EXPECT_THAT(t.Route("10.96.0.9:80")->inner_sans, IsEmpty()) << "never the workload's own";
}

TEST(RouteToAnotherNetwork, GoesThroughAGatewayByTheNameOfItsService) {
  TwoNetworks t;
  auto service = MakeService("gateway", "", {{15009, 15008}});
  service.subject_alt_names = {SpiffeOf("gateway-fleet")};
  t.Add(service);
  auto pod = MakePod("gateway", "192.0.2.1");
  pod.network = "far";
  t.Add(pod, service);
  t.SetGateway(NamespacedHostname{"default", service.hostname});
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route.has_value()) << ErrorOf(route);
  EXPECT_EQ(route->next_hop.ToString(), "192.0.2.1:15008") << "target ports apply";
  EXPECT_THAT(route->expected_sans, ElementsAre(SpiffeOf("gateway-fleet"), SpiffeOf("gateway")));
}

TEST(RouteToAnotherNetwork, GoesThroughAGatewayByTheAddressOfItsServiceOrTheNameOfAWorkload) {
  TwoNetworks t;
  auto service = MakeService("gateway", "", {{15009, 15010}});
  service.vips = {{"far", Ip("192.0.2.9")}};
  t.Add(service);
  auto pod = MakePod("gateway", "192.0.2.1");
  pod.network = "far";
  pod.hostname = "gateway.example.com";
  t.Add(pod, service);
  t.SetGateway(NetworkAddress{"far", Ip("192.0.2.9")});
  EXPECT_EQ(t.Route("10.96.0.9:80")->next_hop.ToString(), "192.0.2.1:15010");
  t.SetGateway(NamespacedHostname{"default", "gateway.example.com"});
  EXPECT_EQ(t.Route("10.96.0.9:80")->next_hop.ToString(), "192.0.2.1:15009");
}

TEST(RouteToAnotherNetwork, AGatewayMayBeAHostnameThatHasToBeResolved) {
  TwoNetworks t;
  auto pod = MakePod("gateway", "");
  pod.hostname = "lb.example.com";
  t.Add(pod);
  t.SetGateway(NamespacedHostname{"default", "lb.example.com"});
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route && route->resolve) << ErrorOf(route);
  const std::vector<net::IpAddress> found = {Ip("192.0.2.5")};
  auto resolved = WithAddress(*route, found, t.random);
  EXPECT_EQ(resolved.next_hop.ToString(), "192.0.2.5:15009");
  EXPECT_EQ(resolved.authority, "web.default.svc.cluster.local:80");
}

TEST(RouteToAnotherNetwork, AWaypointThereIsReachedThroughItsGateway) {
  TwoNetworks t;
  auto waypoint = MakeService("waypoint", "", {{15008, 15008}});
  waypoint.subject_alt_names = {SpiffeOf("waypoint")};
  t.Add(waypoint);
  auto pod = MakePod("waypoint", "");
  pod.network = "far";
  pod.network_gateway = t.remote.network_gateway;
  t.Add(pod, waypoint);
  t.web.waypoint = GatewayAddress{NamespacedHostname{"default", waypoint.hostname}, 15008};
  t.Add(t.web);
  auto route = t.Route("10.96.0.9:80");
  ASSERT_TRUE(route.has_value()) << ErrorOf(route);
  EXPECT_EQ(route->carrier, Carrier::kDoubleHbone);
  EXPECT_EQ(route->authority, "web.default.svc.cluster.local:80");
  EXPECT_THAT(route->inner_sans, ElementsAre(SpiffeOf("waypoint")));
  EXPECT_EQ(route->service->name, "web");
}

TEST(RouteToAnotherNetwork, IsTakenOnlyWithoutAHealthyEndpointHereIfTheServiceSaysSo) {
  TwoNetworks t;
  t.web.balancing_mode = BalancingMode::kFailover;
  t.web.routing_preference = {state::BalancingScope::kNetwork};
  t.Add(t.web);
  auto local = MakePod("local", "10.0.0.3");
  local.network = "near";
  t.Add(local, t.web);
  for (t.random.draw = 0; t.random.draw < 8; ++t.random.draw) {
    EXPECT_EQ(t.Route("10.96.0.9:80")->destination->name, "local");
  }
  local.healthy = false;
  t.Add(local, t.web);
  EXPECT_EQ(t.Route("10.96.0.9:80")->destination->name, "gateway");
}

TEST(RouteToAnotherNetwork, ServesItsShareWhereTheServiceHasNoPreference) {
  TwoNetworks t;
  auto local = MakePod("local", "10.0.0.3");
  local.network = "near";
  t.Add(local, t.web);
  std::map<std::string, int> hits;
  for (t.random.draw = 0; t.random.draw < 8; ++t.random.draw) {
    ++hits[t.Route("10.96.0.9:80")->destination->name];
  }
  EXPECT_EQ(hits, (std::map<std::string, int>{{"gateway", 4}, {"local", 4}}));
}

TEST(RouteToAnotherNetwork, AnEndpointWithoutGatewayIsChosenOnlyForLackOfAnother) {
  TwoNetworks t;
  t.remote.network_gateway.reset();
  t.remote.addresses = {Ip("10.0.0.2")};
  t.Add(t.remote, t.web);
  auto route = t.Route("10.96.0.9:80");
  ASSERT_FALSE(route.has_value());
  EXPECT_EQ(route.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(ErrorOf(route),
            "no valid destination: workload Kubernetes//Pod/default/remote is on network \"far\" "
            "and has no network gateway");
  auto local = MakePod("local", "10.0.0.3");
  local.network = "near";
  t.Add(local, t.web);
  for (t.random.draw = 0; t.random.draw < 8; ++t.random.draw) {
    EXPECT_EQ(t.Route("10.96.0.9:80")->destination->name, "local");
  }
}

TEST(RouteToAnotherNetwork, NeedsAGatewayThatIsKnownAndServesThePort) {
  TwoNetworks t;
  auto empty = MakeService("empty", "", {{15009, 15009}});
  auto portless = MakeService("portless", "", {{80, 80}});
  auto untouched = MakeService("untouched", "", {{15009, 15009}});
  untouched.balancing_mode = BalancingMode::kPassthrough;
  auto pod = MakePod("gateway", "192.0.2.1");
  pod.network = "far";
  pod.application_tunnel = state::ApplicationTunnel{false, 15009};  // excuses waypoints only
  for (const auto& service : {empty, portless, untouched}) t.Add(service);
  t.Add(pod, portless);
  for (const auto& name :
       {std::string("nobody"), empty.hostname, portless.hostname, untouched.hostname}) {
    t.SetGateway(NamespacedHostname{"default", name});
    auto route = t.Route("10.96.0.9:80");
    ASSERT_FALSE(route.has_value()) << name;
    EXPECT_EQ(route.error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(ErrorOf(route), "unknown gateway: default/" + name +
                                  " is not known here, or has no healthy endpoint for port 15009");
  }
  t.SetGateway(NetworkAddress{"far", Ip("192.0.2.77")});
  EXPECT_THAT(ErrorOf(t.Route("10.96.0.9:80")), HasSubstr("unknown gateway: far/192.0.2.77"));
}

TEST(RouteToAnotherNetwork, NeedsAServiceSinceAddressesMeanSomethingElseThere) {
  TwoNetworks t;
  auto pod = MakePod("waypoint", "10.0.0.20");
  pod.network = "far";
  pod.network_gateway = t.remote.network_gateway;
  t.Add(pod);
  auto local = MakePod("local", "10.0.0.3");
  local.network = "near";
  local.waypoint = GatewayAddress{NetworkAddress{"far", Ip("10.0.0.20")}, 15008};
  t.Add(local);
  EXPECT_THAT(ErrorOf(t.Route("10.0.0.3:80")), HasSubstr("which is reached through services only"));
  EXPECT_EQ(t.Route("10.0.0.20:80")->destination, nullptr) << "unknown on our own network";
}

}  // namespace
}  // namespace ambit::proxy
