#include "ztunnel-lite/local/resources.h"

#include <gtest/gtest.h>

namespace ambit::local {
namespace {

std::string ErrorOf(std::string_view yaml) {
  auto parsed = ParseResources(yaml);
  return parsed ? "none" : parsed.error().message();
}

state::Workload WorkloadOf(std::string_view yaml) {
  auto parsed = ParseResources(yaml);
  EXPECT_TRUE(parsed.has_value()) << ErrorOf(yaml);
  return parsed ? *parsed->workloads.at(0) : state::Workload();
}

net::IpAddress Ip(std::string_view text) { return net::IpAddress::Parse(text).value(); }

TEST(LocalResources, ReadsEveryKeyOfAWorkload) {
  state::Workload workload = WorkloadOf(R"(
workloads:
- uid: c1//v1/Pod/default/web
  name: web
  namespace: default
  serviceAccount: sa
  trustDomain: td
  workloadIps: ["10.0.0.1", "fd00::1"]
  protocol: HBONE
  networkMode: HostNetwork
  network: net1
  node: node-1
  hostname: web.example
  waypoint: {destination: default/waypoint.example, hboneMtlsPort: 15018}
  networkGateway: {destination: net2/10.9.9.9}
  workloadName: web
  workloadType: cronjob
  canonicalName: web
  canonicalRevision: v1
  nativeTunnel: true
  applicationTunnel: {protocol: PROXY, port: 8443}
  authorizationPolicies: [default/p]
  status: Unhealthy
  clusterId: c1
  locality: {region: r, zone: z, subzone: s}
  capacity: 7
  services:
    default/web.example: {80: 8080}
)");
  state::Workload wanted;
  wanted.uid = "c1//v1/Pod/default/web";
  wanted.name = wanted.workload_name = wanted.canonical_name = "web";
  wanted.ns = "default";
  wanted.service_account = "sa";
  wanted.trust_domain = "td";
  wanted.addresses = {Ip("10.0.0.1"), Ip("fd00::1")};
  wanted.tunnel_protocol = state::TunnelProtocol::kHbone;
  wanted.host_network = true;
  wanted.network = "net1";
  wanted.node = "node-1";
  wanted.hostname = "web.example";
  wanted.waypoint =
      state::GatewayAddress{state::NamespacedHostname{"default", "waypoint.example"}, 15018};
  wanted.network_gateway =
      state::GatewayAddress{state::NetworkAddress{"net2", Ip("10.9.9.9")}, 15008};
  wanted.workload_type = state::WorkloadType::kCronJob;
  wanted.canonical_revision = "v1";
  wanted.native_tunnel = true;
  wanted.application_tunnel = state::ApplicationTunnel{true, 8443};
  wanted.authorization_policies = {"default/p"};
  wanted.healthy = false;
  wanted.cluster_id = "c1";
  wanted.locality = {"r", "z", "s"};
  wanted.capacity = 7;
  wanted.services = {{"default/web.example", {{80, 8080}}}};
  EXPECT_EQ(workload, wanted);
}

TEST(LocalResources, WhatIsLeftOutOfAWorkloadHasTheDefaultsOfTheMesh) {
  state::Workload workload =
      WorkloadOf("workloads: [{name: a, namespace: b, workloadIps: [], waypoint: null}]");
  EXPECT_EQ(workload.uid, "local/b/a");
  EXPECT_EQ(workload.identity().Uri(), "spiffe://cluster.local/ns/b/sa/default");
  EXPECT_EQ(workload.capacity, 1u);
  EXPECT_FALSE(workload.waypoint.has_value());
}

constexpr char kService[] = R"(
services:
- name: web
  namespace: default
  hostname: web.example
  vips: ["net1/10.1.1.1", "/fd00::2"]
  cidrVips: [{network: net1, cidr: 10.2.0.0/16}]
  ports: {80: 8080, 90: 0}
  subjectAltNames: ["spiffe://td/ns/a/sa/b"]
  waypoint: {destination: /10.0.0.9, hboneMtlsPort: 15008}
  weightedWaypoints:
  - {destination: {destination: default/w, hboneMtlsPort: 1}, weight: 3}
  loadBalancer: {routingPreferences: [Network, Zone], mode: Failover, healthPolicy: AllowAll}
  ipFamilies: Dual
  canonical: true
  visibility: Namespace
)";

TEST(LocalResources, ReadsEveryKeyOfAService) {
  auto parsed = ParseResources(kService);
  ASSERT_TRUE(parsed.has_value()) << ErrorOf(kService);
  state::Service wanted;
  wanted.name = "web";
  wanted.ns = "default";
  wanted.hostname = "web.example";
  wanted.vips = {{"net1", Ip("10.1.1.1")}, {"", Ip("fd00::2")}};
  wanted.cidr_vips = {{"net1", net::Cidr::Parse("10.2.0.0/16").value()}};
  wanted.ports = {{80, 8080}, {90, 0}};
  wanted.subject_alt_names = {"spiffe://td/ns/a/sa/b"};
  wanted.waypoint = state::GatewayAddress{state::NetworkAddress{"", Ip("10.0.0.9")}, 15008};
  wanted.weighted_waypoints = {
      {state::GatewayAddress{state::NamespacedHostname{"default", "w"}, 1}, 3}};
  wanted.balancing_mode = state::BalancingMode::kFailover;
  wanted.routing_preference = {state::BalancingScope::kNetwork, state::BalancingScope::kZone};
  wanted.allow_unhealthy = true;
  wanted.ip_families = state::IpFamilies::kDual;
  wanted.canonical = true;
  wanted.namespace_private = true;
  EXPECT_EQ(*parsed->services.at(0), wanted);
}

TEST(LocalResources, AnEndpointOfAServiceIsAMembershipOfItsWorkload) {
  std::string yaml = std::string(kService) + R"(  endpoints:
    u1: {workloadUid: u1, port: {80: 8080}, status: Healthy}
workloads: [{uid: u1, name: a, namespace: b, workloadIps: ["10.0.0.1"]}]
)";
  EXPECT_EQ(WorkloadOf(yaml).services.at("default/web.example"), (state::PortMap{{80, 8080}}));
  std::string stranger = std::string(kService) + "  endpoints: {u9: {port: {80: 8080}}}\n";
  EXPECT_EQ(ErrorOf(stranger),
            "line 17: endpoint of the workload \"u9\", which is not in the file");
}

TEST(LocalResources, ReadsAPolicyWithEveryMatcherInBothWaysOfWritingOne) {
  constexpr char kPolicy[] = R"(
policies:
- name: p
  namespace: ns
  scope: WorkloadSelector
  action: Deny
  dryRun: true
  rules:
  - - - namespaces: [{Exact: a}, !Prefix b]
        notNamespaces: [{Suffix: c}]
        principals: [{Presence: []}, !Presence []]
        notPrincipals: [!Exact td/ns/a/sa/b]
        serviceAccounts: [{namespace: a, serviceAccount: b}]
        notServiceAccounts: [{namespace: c, serviceAccount: d}]
        sourceIps: [10.0.0.0/8]
        notSourceIps: ["fd00::/8"]
        destinationIps: [10.1.0.1]
        notDestinationIps: [10.2.0.0/16]
        destinationPorts: [80]
        notDestinationPorts: [9999]
)";
  using Kind = state::StringMatch::Kind;
  auto parsed = ParseResources(kPolicy);
  ASSERT_TRUE(parsed.has_value()) << ErrorOf(kPolicy);
  state::PolicyMatch match;
  match.namespaces = {{Kind::kExact, "a"}, {Kind::kPrefix, "b"}};
  match.not_namespaces = {{Kind::kSuffix, "c"}};
  match.principals = {{Kind::kPresence, ""}, {Kind::kPresence, ""}};
  match.not_principals = {{Kind::kExact, "td/ns/a/sa/b"}};
  match.service_accounts = {{"a", "b"}};
  match.not_service_accounts = {{"c", "d"}};
  match.source_ips = {net::Cidr::Parse("10.0.0.0/8").value()};
  match.not_source_ips = {net::Cidr::Parse("fd00::/8").value()};
  match.destination_ips = {net::Cidr::Parse("10.1.0.1/32").value()};
  match.not_destination_ips = {net::Cidr::Parse("10.2.0.0/16").value()};
  match.destination_ports = {80};
  match.not_destination_ports = {9999};
  state::Policy wanted;
  wanted.resource_name = "ns/p";
  wanted.name = "p";
  wanted.ns = "ns";
  wanted.scope = state::PolicyScope::kWorkloadSelector;
  wanted.action = state::PolicyAction::kDeny;
  wanted.dry_run = true;
  wanted.rules = {{{match}}};
  EXPECT_EQ(*parsed->policies.at(0), wanted);
}

TEST(LocalResources, NamesLineAndKeyOfWhatItRefuses) {
  constexpr std::pair<const char*, const char*> kCases[] = {
      {"nonsense: 1\n", "line 1: unknown key \"nonsense\" of a local configuration"},
      {"workloads:\n- name: a\n  workloadIps: []\n",
       "line 2: a workload needs the key \"namespace\""},
      {"workloads:\n- namespace: a\n  workloadIps: []\n  workload_ips: []\n",
       "line 4: unknown key \"workload_ips\" of a workload"},
      {"workloads:\n- namespace: a\n  workloadIps: [10.0.0.256]\n",
       "line 3: \"10.0.0.256\" is not an IP address"},
      {"workloads:\n- namespace: a\n  workloadIps: []\n  protocol: mTLS\n",
       "line 4: protocol: \"mTLS\" is none of TCP, HBONE"},
      {"workloads:\n- namespace: a\n  workloadIps: []\n  capacity: -1\n",
       "line 4: \"-1\" is not a number from 0 to 4294967295"},
      {"workloads:\n- namespace: a\n  workloadIps: []\n  services: {web: {80: 80}}\n",
       "line 4: \"web\" is not <namespace>/<hostname>"},
      {"workloads:\n- namespace: a\n  workloadIps: []\n  waypoint: {destination: w}\n",
       "line 4: \"w\" is not <network>/<address> or <namespace>/<hostname>"},
      {"workloads: 7\n", "line 1: workloads: a list is wanted, not a scalar"},
      {"workloads:\n- {namespace: a, name: b, workloadIps: []}\n"
       "- {namespace: a, name: b, workloadIps: []}\n",
       "line 3: workload local/a/b stands at line 2 already"},
      {"- a\n", "line 1: a map (local configuration) is wanted, not a list"},
  };
  for (const auto& [yaml, error] : kCases) EXPECT_EQ(ErrorOf(yaml), error) << yaml;
}

// Any of these, left out in silence, would let more through than was meant.
TEST(LocalResources, AMatcherThatCannotBeUnderstoodRejectsTheFile) {
  for (const char* match :
       {"{principals: }", "{principals: [{Regex: a}]}", "{principals: [a]}", "{principals: [{}]}",
        "{sourceIps: [10.0.0.0/33]}", "{destinationPorts: [65536]}", "{notPorts: [1]}", "~"}) {
    std::string yaml =
        "policies: [{name: p, namespace: n, scope: Global, action: Allow, rules: [[[" +
        std::string(match) + "]]]}]";
    EXPECT_TRUE(ErrorOf(yaml).starts_with("line 1: ")) << match << " gives " << ErrorOf(yaml);
  }
}

TEST(LocalResources, AnEmptyFileHoldsNothing) {
  EXPECT_TRUE(ParseResources("").value().workloads.empty());
  EXPECT_TRUE(ParseResources("workloads:\n").value().workloads.empty());
}

}  // namespace
}  // namespace ambit::local
