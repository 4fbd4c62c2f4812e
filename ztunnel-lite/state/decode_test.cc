#include "ztunnel-lite/state/decode.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "proto/authorization.pb.h"
#include "proto/workload.pb.h"

namespace ambit::state {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

Result<Workload> WorkloadOf(const std::string& text) {
  return DecodeWorkload(FromText<istio::workload::Workload>("uid: 'u' " + text));
}

Result<Service> ServiceOf(const std::string& text) {
  return DecodeService(FromText<istio::workload::Service>("hostname: 'h' " + text));
}

Result<Policy> PolicyOf(const std::string& text) {
  return DecodePolicy("ns/p", FromText<istio::security::Authorization>(text));
}

TEST(DecodeWorkload, FillsInTheDefaultsOfAbsentFields) {
  auto workload = WorkloadOf("name: 'n' namespace: 'ns'");
  ASSERT_TRUE(workload.has_value());
  EXPECT_EQ(workload->identity().Uri(), "spiffe://cluster.local/ns/ns/sa/default");
  EXPECT_EQ(workload->cluster_id, "Kubernetes");
  EXPECT_EQ(workload->capacity, 1u);
  EXPECT_TRUE(workload->healthy);
  EXPECT_EQ(workload->tunnel_protocol, TunnelProtocol::kNone);
}

TEST(DecodeWorkload, KeepsAnExplicitCapacityOfZero) {
  auto workload = WorkloadOf("capacity { }");
  ASSERT_TRUE(workload.has_value());
  EXPECT_EQ(workload->capacity, 0u);
}

TEST(DecodeWorkload, ReadsAddressesPortsAndTunnels) {
  auto workload = WorkloadOf(
      "addresses: '\\n\\000\\000\\001' tunnel_protocol: HBONE "
      "services { key: 'ns/h' value { ports { service_port: 80 target_port: 8080 } } } "
      "waypoint { hostname { namespace: 'ns' hostname: 'w' } hbone_mtls_port: 15008 } "
      "network_gateway { address { network: 'n' address: '\\n\\000\\000\\002' } } "
      "application_tunnel { protocol: PROXY port: 15088 } status: UNHEALTHY "
      "network_mode: HOST_NETWORK workload_type: JOB");
  ASSERT_TRUE(workload.has_value()) << workload.error().message();
  EXPECT_EQ(workload->addresses[0].ToString(), "10.0.0.1");
  EXPECT_THAT(workload->services, ElementsAre(Pair("ns/h", ElementsAre(Pair(80, 8080)))));
  EXPECT_EQ(workload->waypoint, (GatewayAddress{NamespacedHostname{"ns", "w"}, 15008}));
  EXPECT_EQ(std::get<NetworkAddress>(workload->network_gateway->destination).network, "n");
  EXPECT_EQ(workload->application_tunnel, (ApplicationTunnel{true, 15088}));
  EXPECT_FALSE(workload->healthy);
  EXPECT_TRUE(workload->host_network);
  EXPECT_EQ(workload->workload_type, WorkloadType::kJob);
}

TEST(DecodeWorkload, RejectsTheWholeResourceForOneBadField) {
  const std::pair<const char*, const char*> cases[] = {
      {"addresses: 'abc'", "addresses"},
      {"tunnel_protocol: LEGACY_ISTIO_MTLS", "tunnel_protocol"},
      {"waypoint { hbone_mtls_port: 15008 }", "waypoint"},
      {"network_gateway { address { address: 'x' } }", "network_gateway"},
      {"services { key: 'noslash' value { } }", "noslash"},
      {"services { key: 'a/b' value { ports { service_port: 70000 } } }", "70000"},
      {"application_tunnel { port: 65536 }", "application_tunnel.port"},
  };
  for (const auto& [text, reason] : cases) {
    auto workload = WorkloadOf(text);
    ASSERT_FALSE(workload.has_value()) << text;
    EXPECT_EQ(workload.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(workload.error().message(), HasSubstr(reason));
  }
}

TEST(DecodeService, TellsExactAddressesFromPrefixes) {
  auto service = ServiceOf(
      "addresses { address: '\\n\\000\\000\\001' } "
      "addresses { network: 'n' address: '\\n\\000\\000\\002' length: 32 } "
      "addresses { address: '\\n\\001\\002\\003' length: 16 }");
  ASSERT_TRUE(service.has_value());
  ASSERT_EQ(service->vips.size(), 2u);
  EXPECT_EQ(service->vips[1].network, "n");
  ASSERT_EQ(service->cidr_vips.size(), 1u);
  EXPECT_EQ(service->cidr_vips[0].cidr.ToString(), "10.1.0.0/16");
}

TEST(DecodeService, ReadsBalancingAndVisibility) {
  auto service = ServiceOf(
      "load_balancing { mode: FAILOVER routing_preference: [NETWORK, REGION] "
      "health_policy: ALLOW_ALL } ip_families: IPV6_ONLY visibility: NAMESPACE");
  ASSERT_TRUE(service.has_value());
  EXPECT_EQ(service->balancing_mode, BalancingMode::kFailover);
  EXPECT_THAT(service->routing_preference,
              ElementsAre(BalancingScope::kNetwork, BalancingScope::kRegion));
  EXPECT_TRUE(service->allow_unhealthy);
  EXPECT_EQ(service->ip_families, IpFamilies::kIpv6Only);
  EXPECT_TRUE(service->namespace_private);
}

TEST(DecodeService, RejectsWhatItCannotMean) {
  EXPECT_FALSE(ServiceOf("addresses { address: 'abcd' length: 33 }").has_value());
  EXPECT_FALSE(ServiceOf("addresses { address: 'abc' }").has_value());
  EXPECT_FALSE(ServiceOf("load_balancing { routing_preference: UNSPECIFIED_SCOPE }").has_value());
  EXPECT_FALSE(ServiceOf("waypoint { }").has_value());
  EXPECT_FALSE(ServiceOf("weighted_waypoints { weight: 1 }").has_value());
  EXPECT_FALSE(DecodeService(istio::workload::Service()).has_value());
}

TEST(DecodeAddress, RejectsAResourceThatIsNeither) {
  EXPECT_FALSE(DecodeAddress(istio::workload::Address()).has_value());
}

TEST(DecodePolicy, ReadsEveryKindOfMatcher) {
  auto policy = PolicyOf(
      "name: 'p' namespace: 'ns' scope: WORKLOAD_SELECTOR action: DENY dry_run: true rules { "
      "clauses { matches { namespaces { exact: 'a' } not_principals { presence { } } "
      "service_accounts { namespace: 'x' serviceAccount: 'y' } "
      "source_ips { address: '\\n\\000\\000\\000' length: 8 } destination_ports: 80 } } }");
  ASSERT_TRUE(policy.has_value()) << policy.error().message();
  EXPECT_EQ(policy->resource_name, "ns/p");
  EXPECT_EQ(policy->scope, PolicyScope::kWorkloadSelector);
  EXPECT_EQ(policy->action, PolicyAction::kDeny);
  EXPECT_TRUE(policy->dry_run);
  const PolicyMatch& match = policy->rules.at(0).at(0).at(0);
  EXPECT_THAT(match.namespaces, ElementsAre(StringMatch{StringMatch::Kind::kExact, "a"}));
  EXPECT_THAT(match.not_principals, ElementsAre(StringMatch{StringMatch::Kind::kPresence, ""}));
  EXPECT_EQ(match.source_ips.at(0).ToString(), "10.0.0.0/8");
  EXPECT_THAT(match.destination_ports, ElementsAre(80));
}

TEST(DecodePolicy, RejectsAMatcherThatWouldVanishAndWidenThePolicy) {
  for (const char* match :
       {"principals { }", "not_namespaces { }", "source_ips { address: 'abc' length: 8 }",
        "not_source_ips { address: 'abcd' length: 33 }", "destination_ports: 65616"}) {
    auto policy = PolicyOf(std::string("rules { clauses { matches { ") + match + " } } }");
    EXPECT_FALSE(policy.has_value()) << match;
  }
}

TEST(DecodePolicy, RejectsUnknownScopeAndAction) {
  istio::security::Authorization message;
  message.set_scope(static_cast<istio::security::Scope>(9));
  EXPECT_FALSE(DecodePolicy("a/b", message).has_value());
  message.set_scope(istio::security::GLOBAL);
  message.set_action(static_cast<istio::security::Action>(9));
  EXPECT_FALSE(DecodePolicy("a/b", message).has_value());
}

TEST(DecodePolicy, ReadsAnIpv4MappedPrefixAsIpv4) {
  istio::security::Authorization message;
  auto* address = message.add_rules()->add_clauses()->add_matches()->add_source_ips();
  address->set_address(std::string(10, '\0') + "\xff\xff\x0a\x01\x02\x03");
  address->set_length(112);
  auto policy = DecodePolicy("a/b", message);
  ASSERT_TRUE(policy.has_value());
  EXPECT_EQ(policy->rules[0][0][0].source_ips[0].ToString(), "10.1.0.0/16");
  address->set_length(90);
  EXPECT_FALSE(DecodePolicy("a/b", message).has_value());
}

}  // namespace
}  // namespace ambit::state
