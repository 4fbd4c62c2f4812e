#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ztunnel-lite/admin/snapshot.h"

namespace ambit::admin {
namespace {

using Json = nlohmann::json;

Json Dump(const Snapshot& snapshot) { return Json::parse(ConfigDump(snapshot)); }

state::Workload Pod() {
  state::Workload pod;
  pod.uid = "Kubernetes//Pod/default/web";
  pod.name = "web";
  pod.ns = "default";
  pod.node = "node-1";
  pod.tunnel_protocol = state::TunnelProtocol::kHbone;
  pod.addresses = {net::IpAddress::Parse("10.0.0.2").value()};
  pod.waypoint = state::GatewayAddress{state::NamespacedHostname{"default", "w"}, 15008};
  pod.services["default/web.default.svc"] = {{80, 8080}};
  return pod;
}

TEST(ConfigDump, ShowsAWorkloadAsIstioctlReadsIt) {
  Snapshot snapshot;
  snapshot.workloads = {std::make_shared<const state::Workload>(Pod())};
  EXPECT_EQ(Dump(snapshot)["workloads"][0], Json::parse(R"({
      "uid": "Kubernetes//Pod/default/web", "workloadIps": ["10.0.0.2"],
      "waypoint": {"destination": "default/w", "hboneMtlsPort": 15008},
      "protocol": "HBONE", "networkMode": "Standard", "name": "web", "namespace": "default",
      "trustDomain": "cluster.local", "serviceAccount": "default", "workloadType": "deployment",
      "node": "node-1", "status": "Healthy",
      "clusterId": "Kubernetes", "capacity": 1, "services": ["default/web.default.svc"]})"));
}

TEST(ConfigDump, ShowsAServiceWithItsEndpoints) {
  state::Service service;
  service.name = "web";
  service.ns = "default";
  service.hostname = "web.default.svc";
  service.vips = {{"", net::IpAddress::Parse("10.96.0.9").value()}};
  service.ports = {{80, 8080}};
  service.balancing_mode = state::BalancingMode::kFailover;
  service.routing_preference = {state::BalancingScope::kNetwork};
  Snapshot snapshot;
  snapshot.services = {std::make_shared<const state::Service>(service)};
  snapshot.endpoints[service.Key()] = {
      {std::make_shared<const state::Workload>(Pod()), {{80, 8080}}}};
  EXPECT_EQ(Dump(snapshot)["services"][0], Json::parse(R"({
      "name": "web", "namespace": "default", "hostname": "web.default.svc",
      "vips": ["/10.96.0.9"], "ports": {"80": 8080},
      "endpoints": {"Kubernetes//Pod/default/web": {"workloadUid": "Kubernetes//Pod/default/web",
          "port": {"80": 8080}, "status": "Healthy"}},
      "subjectAltNames": [], "canonical": false, "visibility": "Public",
      "loadBalancer": {"routingPreferences": ["Network"], "mode": "Failover",
          "healthPolicy": "OnlyHealthy"}})"));
}

TEST(ConfigDump, ShowsAPolicyWithItsRules) {
  state::Policy policy;
  policy.name = "p";
  policy.ns = "default";
  policy.action = state::PolicyAction::kDeny;
  state::PolicyMatch match;
  match.not_principals = {{state::StringMatch::Kind::kPresence, ""}};
  match.destination_ports = {80};
  policy.rules = {{{match}}};
  Snapshot snapshot;
  snapshot.policies = {std::make_shared<const state::Policy>(policy)};
  EXPECT_EQ(Dump(snapshot)["policies"][0], Json::parse(R"({
      "name": "p", "namespace": "default", "scope": "Namespace", "action": "Deny",
      "rules": [[[{"notPrincipals": [{"Presence": []}], "destinationPorts": [80]}]]],
      "dryRun": false})"));
}

TEST(ConfigDump, ShowsALocalFileAsItIsWritten) {
  state::Service service;
  service.ns = "default";
  service.hostname = "web.default.svc";
  Snapshot snapshot;
  snapshot.static_config = {{std::make_shared<const state::Workload>(Pod())},
                            {std::make_shared<const state::Service>(service)},
                            {std::make_shared<const state::Policy>()}};
  Json shown = Dump(snapshot)["staticConfig"];
  EXPECT_EQ(shown["workloads"][0]["services"],
            Json::parse(R"({"default/web.default.svc": {"80": 8080}})"));
  EXPECT_FALSE(shown["services"][0].contains("endpoints"));
  EXPECT_EQ(shown["policies"].size(), 1u);
}

TEST(ConfigDump, ShowsEndpointsWhoseServiceHasNotCome) {
  Snapshot snapshot;
  EXPECT_EQ(Dump(snapshot)["stagedServices"], Json::object());
  snapshot.staged_endpoints["default/web.default.svc"] = {
      {std::make_shared<const state::Workload>(Pod()), {{80, 8080}}}};
  EXPECT_EQ(Dump(snapshot)["stagedServices"], Json::parse(R"({"default/web.default.svc": {
      "Kubernetes//Pod/default/web": {"workloadUid": "Kubernetes//Pod/default/web",
          "port": {"80": 8080}, "status": "Healthy"}}})"));
}

TEST(ConfigDump, ShowsCertificatesAndPods) {
  Snapshot snapshot;
  identity::CertificateFacts facts;
  facts.pem = "abc";
  facts.serial = "12";
  snapshot.certificates = {{"spiffe://td/ns/a/sa/b", "Available", "the CA is away", {facts}, {}}};
  snapshot.pods["u"] = {true, "web", "default", "sa"};
  Json dump = Dump(snapshot);
  EXPECT_EQ(dump["certificates"][0]["certChain"][0], Json::parse(R"({"pem": "YWJj",
      "serialNumber": "12", "validFrom": "1970-01-01T00:00:00Z",
      "expirationTime": "1970-01-01T00:00:00Z"})"));
  EXPECT_EQ(dump["certificates"][0]["lastError"], "the CA is away");
  EXPECT_EQ(dump["workloadState"]["u"], Json::parse(R"({"state": "Up", "info": {"name": "web",
      "namespace": "default", "serviceAccount": "sa"},
      "connections": {"inbound": [], "outbound": []}})"));
}

telemetry::OpenConnection Open(telemetry::Reporter reporter, const std::string& destination) {
  auto info = std::make_shared<telemetry::ConnectionInfo>();
  info->reporter = reporter;
  info->source = net::Endpoint::Parse("10.0.0.1:40000").value();
  info->destination = net::Endpoint::Parse(destination).value();
  auto pod = std::make_shared<const state::Workload>(Pod());
  (reporter == telemetry::Reporter::kSource ? info->source_workload : info->destination_workload) =
      pod;
  return {info, 11, 22, std::chrono::milliseconds(33)};
}

telemetry::OpenConnection OpenHbone(telemetry::Reporter reporter) {
  auto connection = Open(reporter, "10.0.0.9:15008");
  auto info = std::make_shared<telemetry::ConnectionInfo>(*connection.info);
  info->hbone_authority = "10.0.0.9:8080";
  info->called = reporter == telemetry::Reporter::kSource ? "10.0.0.9:8080" : "web.default.svc";
  info->source_identity = "spiffe://td/ns/a/sa/client";
  info->destination_identity = "spiffe://td/ns/a/sa/server";
  info->mutual_tls = true;
  connection.info = info;
  return connection;
}

TEST(ConfigDump, ShowsTheOpenConnectionsOfAPodAsIstioctlReadsThem) {
  Snapshot snapshot;
  snapshot.pods["u"] = {true, "web", "default", "sa"};
  snapshot.pods["v"] = {true, "other", "default", "sa"};
  snapshot.pods["w"] = {false, "late", "default", "sa"};
  auto by_service = Open(telemetry::Reporter::kSource, "10.0.0.8:8080");
  auto info = std::make_shared<telemetry::ConnectionInfo>(*by_service.info);
  info->called = "10.96.0.9:80";
  by_service.info = info;
  snapshot.connections = {OpenHbone(telemetry::Reporter::kSource), by_service,
                          OpenHbone(telemetry::Reporter::kDestination),
                          Open(telemetry::Reporter::kDestination, "10.0.0.2:80")};
  Json dump = Dump(snapshot)["workloadState"];
  EXPECT_EQ(dump["v"]["connections"], Json::parse(R"({"inbound": [], "outbound": []})"));
  EXPECT_FALSE(dump["w"].contains("connections")) << "it is not served yet";
  EXPECT_EQ(dump["u"]["connections"]["outbound"], Json::parse(R"([
      {"src": "10.0.0.1:40000", "originalDst": "10.0.0.9:8080", "actualDst": "10.0.0.9:15008",
       "protocol": "HBONE", "srcIdentity": "spiffe://td/ns/a/sa/client",
       "dstIdentity": "spiffe://td/ns/a/sa/server", "bytesSent": 11, "bytesReceived": 22,
       "ageMs": 33},
      {"src": "10.0.0.1:40000", "originalDst": "10.96.0.9:80", "actualDst": "10.0.0.8:8080",
       "protocol": "TCP", "bytesSent": 11, "bytesReceived": 22, "ageMs": 33}])"));
  EXPECT_EQ(dump["u"]["connections"]["inbound"], Json::parse(R"([
      {"src": "10.0.0.1:40000", "originalDst": "web.default.svc",
       "actualDst": "10.0.0.9:8080",
       "protocol": "HBONE", "srcIdentity": "spiffe://td/ns/a/sa/client",
       "dstIdentity": "spiffe://td/ns/a/sa/server", "bytesSent": 22, "bytesReceived": 11,
       "ageMs": 33},
      {"src": "10.0.0.1:40000", "originalDst": null, "actualDst": "10.0.0.2:80",
       "protocol": "TCP", "bytesSent": 22, "bytesReceived": 11, "ageMs": 33}])"));
}

TEST(ConfigDump, TheConfigurationHasTheShapeOfZtunnels) {
  Snapshot snapshot;
  auto& config = snapshot.config;
  config.ipv6 = false;
  config.xds_root_ca = "/roots.pem";
  config.ca_root_ca = "SYSTEM";
  config.dns_address.port = 53;
  config.proxy_metadata = {{"ISTIO_VERSION", "1.2.3"}};
  config.dedicated = config::DedicatedPod{"shop", "web", "front"};
  Json dump = Dump(snapshot);
  const Json& shown = dump["config"];
  EXPECT_EQ(shown["proxyMode"], "Dedicated");
  EXPECT_EQ(shown["proxyWorkloadInformation"]["serviceAccount"], "front");
  EXPECT_EQ(shown["xdsRootCert"], Json::parse(R"({"File": "/roots.pem"})"));
  EXPECT_EQ(shown["caRootCert"], "Default");
  EXPECT_EQ(shown["adminAddr"], Json::parse(R"({"Localhost": [false, 15000]})"));
  EXPECT_EQ(shown["dnsProxyAddr"], Json::parse(R"({"Localhost": [false, 53]})"));
  EXPECT_EQ(shown["inboundAddr"], "0.0.0.0:15008");
  EXPECT_EQ(shown["secretTtl"], Json::parse(R"({"secs": 86400, "nanos": 0})"));
  EXPECT_EQ(shown["socketConfig"]["keepaliveRetries"], 9);
  EXPECT_TRUE(shown["requireOriginalSource"].is_null());
  EXPECT_EQ(dump["version"]["istioVersion"], "1.2.3");
}

TEST(ConfigDump, ContainsNoSecretAndSurvivesNamesThatAreNotUtf8) {
  Snapshot snapshot;
  snapshot.config.auth_token_literal = "hidden-token";
  snapshot.config.xds_headers = {{"x", "hidden-header"}};
  snapshot.config.network = "\xff";
  std::string text = ConfigDump(snapshot);
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_TRUE(Json::parse(text).contains("config"));
}

}  // namespace
}  // namespace ambit::admin
