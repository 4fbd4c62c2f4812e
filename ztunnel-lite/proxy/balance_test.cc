#include "ztunnel-lite/proxy/balance.h"

#include <gtest/gtest.h>

#include <map>

#include "ztunnel-lite/proxy/route_fixture.h"

namespace ambit::proxy {
namespace {

using state::BalancingMode;
using Scope = state::BalancingScope;

state::Workload PodIn(const std::string& name, const std::string& network,
                      const std::string& region, const std::string& zone) {
  auto pod = MakePod(name, "10.0.9.9");
  pod.network = network;
  pod.locality.region = region;
  pod.locality.zone = zone;
  return pod;
}

TEST(LocalityRank, FollowsTheTableForFailover) {
  struct Case {
    std::vector<Scope> scopes;
    const char *network, *region, *zone;
    int rank;
  };
  const std::vector<Scope> nrz = {Scope::kNetwork, Scope::kRegion, Scope::kZone};
  const std::vector<Scope> rz = {Scope::kRegion, Scope::kZone};
  const Case cases[] = {
      {nrz, "n", "r", "z", 5}, {nrz, "n", "r", "x", 4}, {nrz, "n", "x", "z", 3},
      {nrz, "m", "r", "z", 2}, {nrz, "m", "r", "x", 1}, {nrz, "m", "x", "z", 0},
      {rz, "m", "r", "z", 2},  {rz, "m", "r", "x", 1},  {rz, "m", "x", "z", 0},
  };
  auto client = PodIn("client", "n", "r", "z");
  auto service = MakeService("web", "");
  service.balancing_mode = BalancingMode::kFailover;
  for (const auto& c : cases) {
    service.routing_preference = c.scopes;
    EXPECT_EQ(LocalityRank(service, client, PodIn("e", c.network, c.region, c.zone)), c.rank)
        << c.network << c.region << c.zone;
  }
}

TEST(LocalityRank, StrictDropsWhatDoesNotMatchEverything) {
  auto client = PodIn("client", "n", "r", "z");
  client.node = "here";
  auto service = MakeService("web", "");
  service.balancing_mode = BalancingMode::kStrict;
  service.routing_preference = {Scope::kNode};
  auto endpoint = PodIn("e", "n", "r", "z");
  endpoint.node = "there";
  EXPECT_EQ(LocalityRank(service, client, endpoint), std::nullopt);
  endpoint.node = "here";
  EXPECT_EQ(LocalityRank(service, client, endpoint), 1);
}

TEST(ChooseEndpoint, FailoverTakesTheBestPlaceThatHasAHealthyEndpoint) {
  TestMesh t;
  t.source = PodIn("client", "", "r", "z");
  auto web = MakeService("web", "10.96.0.9");
  web.balancing_mode = BalancingMode::kFailover;
  web.routing_preference = {Scope::kRegion, Scope::kZone};
  t.Add(web);
  t.Add(PodIn("zone", "", "r", "z"), web);
  t.Add(PodIn("region", "", "r", "x"), web);
  t.Add(PodIn("far", "", "x", "x"), web);
  auto choose = [&] {
    auto chosen = ChooseEndpoint(t.mesh, web, 80, PortRule::kDeclared, t.source, t.random);
    return chosen ? chosen->workload->name : "";
  };
  EXPECT_EQ(choose(), "zone");
  auto sick = PodIn("zone", "", "r", "z");
  sick.healthy = false;
  t.Add(sick, web);
  EXPECT_EQ(choose(), "region");
  t.mesh.RemoveAddress(PodIn("region", "", "r", "x").uid);
  EXPECT_EQ(choose(), "far");
}

TEST(ChooseEndpoint, AnUnreachableOneIsLeftOutWhateverItsPlace) {
  TestMesh t;
  auto web = MakeService("web", "10.96.0.9");
  t.Add(web);
  t.Add(MakePod("a", "10.0.0.2"), web);
  t.Add(MakePod("b", "10.0.0.3"), web);
  auto choose = [&](std::vector<std::string> unreachable) {
    auto chosen =
        ChooseEndpoint(t.mesh, web, 80, PortRule::kDeclared, t.source, t.random, unreachable);
    return chosen ? chosen->workload->name : "none";
  };
  EXPECT_EQ(choose({"Kubernetes//Pod/default/a"}), "b");
  EXPECT_EQ(choose({"Kubernetes//Pod/default/b"}), "a");
  EXPECT_EQ(choose({"Kubernetes//Pod/default/a", "Kubernetes//Pod/default/b"}), "none");
}

TEST(ChooseEndpoint, DrawsByCapacityAndNeverACapacityOfZero) {
  TestMesh t;
  auto web = MakeService("web", "10.96.0.9");
  t.Add(web);
  for (auto [name, capacity] : {std::pair("a", 1u), std::pair("b", 3u), std::pair("c", 0u)}) {
    auto pod = MakePod(name, "10.0.0.9");
    pod.capacity = capacity;
    t.Add(pod, web);
  }
  std::map<std::string, int> hits;
  for (t.random.draw = 0; t.random.draw < 4; ++t.random.draw) {
    ++hits[ChooseEndpoint(t.mesh, web, 80, PortRule::kDeclared, t.source, t.random)
               ->workload->name];
  }
  EXPECT_EQ(hits, (std::map<std::string, int>{{"a", 1}, {"b", 3}}));
}

TEST(ChooseEndpoint, TheEndpointsOwnPortWinsOverTheServices) {
  TestMesh t;
  auto web = MakeService("web", "10.96.0.9");
  t.Add(web);
  t.Add(MakePod("a", "10.0.0.9"), web, {{80, 9999}});
  EXPECT_EQ(ChooseEndpoint(t.mesh, web, 80, PortRule::kDeclared, t.source, t.random)->port, 9999);
}

TEST(ChooseEndpoint, AWaypointWithAnApplicationTunnelNeedsNoDeclaredPort) {
  TestMesh t;
  auto waypoint = MakeService("waypoint", "10.96.0.9", {});
  t.Add(waypoint);
  auto pod = MakePod("a", "10.0.0.9");
  t.Add(pod, waypoint);
  auto choose = [&](PortRule rule) {
    return ChooseEndpoint(t.mesh, waypoint, 15008, rule, t.source, t.random);
  };
  EXPECT_FALSE(choose(PortRule::kDeclaredOrAppTunnel).has_value());
  pod.application_tunnel = state::ApplicationTunnel{true, 15088};
  t.Add(pod, waypoint);
  EXPECT_FALSE(choose(PortRule::kDeclared).has_value());
  ASSERT_TRUE(choose(PortRule::kDeclaredOrAppTunnel).has_value());
  EXPECT_EQ(choose(PortRule::kDeclaredOrAppTunnel)->port, 15008);
}

}  // namespace
}  // namespace ambit::proxy
