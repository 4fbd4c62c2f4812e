// The table of connections that are refused before they begin: what the log says of each.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/proxy/route_fixture.h"

namespace ambit::proxy {
namespace {

using state::GatewayAddress;
using state::NamespacedHostname;
using testing::StartsWith;

constexpr char kUid[] = "Kubernetes//Pod/default/web";

struct Refusal {
  const char* name;
  // Changes a service 10.96.0.9:80 with one pod until it cannot be routed to.
  void (*spoil)(TestMesh& mesh, state::Service& web, state::Workload& pod);
  ErrorCode code;
  std::string text;  // the beginning of it
};

std::string NoHealthyUpstream() {
  return "no healthy upstream: service default/web.default.svc.cluster.local has no endpoint for "
         "10.96.0.9:80 that is healthy and may be used from here";
}

GatewayAddress Waypoint(const std::string& hostname) {
  return {NamespacedHostname{"default", hostname}, 15008};
}

const Refusal kRefusals[] = {
    {"without endpoints", [](TestMesh&, state::Service&, state::Workload& pod) { pod.uid.clear(); },
     ErrorCode::kUnavailable, NoHealthyUpstream()},
    {"all unhealthy", [](TestMesh&, state::Service&, state::Workload& pod) { pod.healthy = false; },
     ErrorCode::kUnavailable, NoHealthyUpstream()},
    {"port not on the service",
     [](TestMesh&, state::Service& web, state::Workload& pod) {
       web.ports = {{81, 8081}};
       pod.services[web.Key()] = {{80, 8080}};
     },
     ErrorCode::kUnavailable, NoHealthyUpstream()},
    {"strict, and elsewhere",
     [](TestMesh&, state::Service& web, state::Workload& pod) {
       web.balancing_mode = state::BalancingMode::kStrict;
       web.routing_preference = {state::BalancingScope::kNode};
       pod.node = "elsewhere";
     },
     ErrorCode::kUnavailable, NoHealthyUpstream()},
    {"no capacity", [](TestMesh&, state::Service&, state::Workload& pod) { pod.capacity = 0; },
     ErrorCode::kUnavailable, NoHealthyUpstream()},
    {"neither address nor hostname nor gateway",
     [](TestMesh&, state::Service&, state::Workload& pod) { pod.addresses.clear(); },
     ErrorCode::kUnavailable, NoHealthyUpstream()},
    {"no address of the family",
     [](TestMesh&, state::Service& web, state::Workload&) {
       web.ip_families = state::IpFamilies::kIpv6Only;
     },
     ErrorCode::kInvalidArgument,
     std::string("no valid destination: workload ") + kUid +
         " has no address of a family that the service allows"},
    {"another network without gateway",
     [](TestMesh&, state::Service&, state::Workload& pod) { pod.network = "far"; },
     ErrorCode::kInvalidArgument,
     std::string("no valid destination: workload ") + kUid +
         " is on network \"far\" and has no network gateway"},
    {"unknown gateway",
     [](TestMesh&, state::Service&, state::Workload& pod) {
       pod.network = "far";
       pod.network_gateway = Waypoint("nowhere");
     },
     ErrorCode::kUnavailable, "unknown gateway: default/nowhere is not known here"},
    {"unknown waypoint",
     [](TestMesh&, state::Service& web, state::Workload&) { web.waypoint = Waypoint("nowhere"); },
     ErrorCode::kUnavailable, "unknown waypoint: default/nowhere is not known here"},
    {"waypoint without port",
     [](TestMesh& mesh, state::Service& web, state::Workload& pod) {
       auto waypoint = MakeService("waypoint", "", {{80, 80}});
       mesh.Add(waypoint);
       pod.services[waypoint.Key()] = {};
       web.waypoint = Waypoint(waypoint.hostname);
     },
     ErrorCode::kUnavailable, "unknown waypoint: default/waypoint.default.svc.cluster.local is"},
    {"waypoint that is passed through",
     [](TestMesh& mesh, state::Service& web, state::Workload& pod) {
       auto waypoint = MakeService("waypoint", "", {{15008, 15008}});
       waypoint.balancing_mode = state::BalancingMode::kPassthrough;
       mesh.Add(waypoint);
       pod.services[waypoint.Key()] = {};
       web.waypoint = Waypoint(waypoint.hostname);
     },
     ErrorCode::kUnavailable, "unknown waypoint: default/waypoint.default.svc.cluster.local is"},
    {"waypoint without address",
     [](TestMesh& mesh, state::Service& web, state::Workload&) {
       auto waypoint = MakePod("waypoint", "fd00::20");
       auto service = MakeService("waypoint", "", {{15008, 15008}});
       service.ip_families = state::IpFamilies::kIpv4Only;
       mesh.Add(service);
       mesh.Add(waypoint, service);
       web.waypoint = Waypoint(service.hostname);
     },
     ErrorCode::kInvalidArgument,
     "waypoint default/waypoint.default.svc.cluster.local: no valid destination: workload "
     "Kubernetes//Pod/default/waypoint has no address of a family that the service allows"},
};

TEST(RouteRefusals, EachSaysWhatWasCalledAndWhyItCannotBeServed) {
  for (const auto& refusal : kRefusals) {
    TestMesh mesh;
    auto web = MakeService("web", "10.96.0.9");
    auto pod = MakePod("web", "10.0.0.2");
    pod.services[web.Key()] = {};
    refusal.spoil(mesh, web, pod);
    mesh.Add(web);
    if (!pod.uid.empty()) mesh.Add(pod);
    auto route = mesh.Route("10.96.0.9:80");
    ASSERT_FALSE(route.has_value()) << refusal.name;
    EXPECT_EQ(route.error().code(), refusal.code) << refusal.name;
    EXPECT_THAT(route.error().message(), StartsWith(refusal.text)) << refusal.name;
  }
}

TEST(RouteRefusals, WhatIsUnspoiledIsServed) {
  TestMesh mesh;
  auto web = MakeService("web", "10.96.0.9");
  mesh.Add(web);
  mesh.Add(MakePod("web", "10.0.0.2"), web);
  EXPECT_TRUE(mesh.Route("10.96.0.9:80").has_value());
}

}  // namespace
}  // namespace ambit::proxy
