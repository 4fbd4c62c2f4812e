#include <ctime>
#include <nlohmann/json.hpp>

#include "lib/base/bytes.h"
#include "ztunnel-lite/admin/config_section.h"
#include "ztunnel-lite/admin/snapshot.h"

namespace ambit::admin {

using Json = nlohmann::ordered_json;

namespace {

void AddText(Json& object, const char* key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

std::string AddressText(const state::NetworkAddress& address) {
  return address.network + "/" + address.address.ToString();
}

Json GatewayJson(const state::GatewayAddress& gateway) {
  Json out;
  if (const auto* name = std::get_if<state::NamespacedHostname>(&gateway.destination)) {
    out["destination"] = name->ns + "/" + name->hostname;
  } else {
    out["destination"] = AddressText(std::get<state::NetworkAddress>(gateway.destination));
  }
  out["hboneMtlsPort"] = gateway.hbone_port;
  return out;
}

Json PortsJson(const state::PortMap& ports) {
  Json out = Json::object();
  for (const auto& [service_port, target_port] : ports) {
    out[std::to_string(service_port)] = target_port;
  }
  return out;
}

const char* TypeText(state::WorkloadType type) {
  switch (type) {
    case state::WorkloadType::kCronJob:
      return "cronjob";
    case state::WorkloadType::kPod:
      return "pod";
    case state::WorkloadType::kJob:
      return "job";
    case state::WorkloadType::kDeployment:
      break;
  }
  return "deployment";
}

Json LocalityJson(const state::Locality& locality) {
  return {{"region", locality.region}, {"zone", locality.zone}, {"subzone", locality.subzone}};
}

Json WorkloadJson(const state::Workload& workload) {
  Json out;
  out["uid"] = workload.uid;
  out["workloadIps"] = Json::array();
  for (const auto& address : workload.addresses) out["workloadIps"].push_back(address.ToString());
  if (workload.waypoint) out["waypoint"] = GatewayJson(*workload.waypoint);
  if (workload.network_gateway) out["networkGateway"] = GatewayJson(*workload.network_gateway);
  out["protocol"] = workload.tunnel_protocol == state::TunnelProtocol::kHbone ? "HBONE" : "TCP";
  out["networkMode"] = workload.host_network ? "HostNetwork" : "Standard";
  out["name"] = workload.name;
  out["namespace"] = workload.ns;
  out["trustDomain"] = workload.trust_domain;
  out["serviceAccount"] = workload.service_account;
  AddText(out, "network", workload.network);
  AddText(out, "workloadName", workload.workload_name);
  out["workloadType"] = TypeText(workload.workload_type);
  AddText(out, "canonicalName", workload.canonical_name);
  AddText(out, "canonicalRevision", workload.canonical_revision);
  AddText(out, "hostname", workload.hostname);
  AddText(out, "node", workload.node);
  if (workload.native_tunnel) out["nativeTunnel"] = true;
  if (const auto& tunnel = workload.application_tunnel) {
    out["applicationTunnel"] = {{"protocol", tunnel->proxy_protocol ? "PROXY" : "NONE"}};
    if (tunnel->port != 0) out["applicationTunnel"]["port"] = tunnel->port;
  }
  if (!workload.authorization_policies.empty()) {
    out["authorizationPolicies"] = workload.authorization_policies;
  }
  out["status"] = workload.healthy ? "Healthy" : "Unhealthy";
  out["clusterId"] = workload.cluster_id;
  if (workload.locality != state::Locality()) out["locality"] = LocalityJson(workload.locality);
  out["capacity"] = workload.capacity;
  for (const auto& [key, ports] : workload.services) out["services"].push_back(key);
  return out;
}

Json BalancingJson(const state::Service& service) {
  static constexpr const char* kModes[] = {"Standard", "Strict", "Failover", "Passthrough"};
  static constexpr const char* kScopes[] = {"Region", "Zone",    "Subzone",
                                            "Node",   "Cluster", "Network"};
  Json out;
  out["routingPreferences"] = Json::array();
  for (auto scope : service.routing_preference) {
    out["routingPreferences"].push_back(kScopes[static_cast<size_t>(scope)]);
  }
  out["mode"] = kModes[static_cast<size_t>(service.balancing_mode)];
  out["healthPolicy"] = service.allow_unhealthy ? "AllowAll" : "OnlyHealthy";
  return out;
}

Json EndpointsJson(const std::vector<state::ServiceEndpoint>& endpoints) {
  Json out = Json::object();
  for (const auto& endpoint : endpoints) {
    out[endpoint.workload->uid] = {
        {"workloadUid", endpoint.workload->uid},
        {"port", PortsJson(endpoint.ports)},
        {"status", endpoint.workload->healthy ? "Healthy" : "Unhealthy"}};
  }
  return out;
}

void AddVips(Json& out, const state::Service& service) {
  out["vips"] = Json::array();
  for (const auto& vip : service.vips) out["vips"].push_back(AddressText(vip));
  for (const auto& vip : service.cidr_vips) {
    out["cidrVips"].push_back({{"network", vip.network}, {"cidr", vip.cidr.ToString()}});
  }
}

Json ServiceJson(const state::Service& service, const Snapshot& snapshot) {
  static constexpr const char* kFamilies[] = {"", "IPv4", "IPv6", "Dual"};
  Json out;
  out["name"] = service.name;
  out["namespace"] = service.ns;
  out["hostname"] = service.hostname;
  AddVips(out, service);
  out["ports"] = PortsJson(service.ports);
  auto endpoints = snapshot.endpoints.find(service.Key());
  out["endpoints"] =
      endpoints == snapshot.endpoints.end() ? Json::object() : EndpointsJson(endpoints->second);
  out["subjectAltNames"] = service.subject_alt_names;
  if (service.waypoint) out["waypoint"] = GatewayJson(*service.waypoint);
  for (const auto& weighted : service.weighted_waypoints) {
    out["weightedWaypoints"].push_back(
        {{"destination", GatewayJson(weighted.destination)}, {"weight", weighted.weight}});
  }
  if (service.balancing_mode != state::BalancingMode::kUnspecified || service.allow_unhealthy) {
    out["loadBalancer"] = BalancingJson(service);
  }
  AddText(out, "ipFamilies", kFamilies[static_cast<size_t>(service.ip_families)]);
  out["canonical"] = service.canonical;
  out["visibility"] = service.namespace_private ? "Namespace" : "Public";
  return out;
}

Json MatcherJson(const state::StringMatch& matcher) {
  switch (matcher.kind) {
    case state::StringMatch::Kind::kExact:
      return {{"Exact", matcher.value}};
    case state::StringMatch::Kind::kPrefix:
      return {{"Prefix", matcher.value}};
    case state::StringMatch::Kind::kSuffix:
      return {{"Suffix", matcher.value}};
    case state::StringMatch::Kind::kPresence:
      break;
  }
  return {{"Presence", Json::array()}};
}

Json MatcherJson(const state::ServiceAccountMatch& account) {
  return {{"namespace", account.ns}, {"serviceAccount", account.service_account}};
}
Json MatcherJson(const net::Cidr& cidr) { return cidr.ToString(); }
Json MatcherJson(uint16_t port) { return port; }

template <typename T>
void AddMatchers(Json& out, const char* key, const std::vector<T>& matchers) {
  for (const auto& matcher : matchers) out[key].push_back(MatcherJson(matcher));
}

Json MatchJson(const state::PolicyMatch& match) {
  Json out = Json::object();
  AddMatchers(out, "namespaces", match.namespaces);
  AddMatchers(out, "notNamespaces", match.not_namespaces);
  AddMatchers(out, "serviceAccounts", match.service_accounts);
  AddMatchers(out, "notServiceAccounts", match.not_service_accounts);
  AddMatchers(out, "principals", match.principals);
  AddMatchers(out, "notPrincipals", match.not_principals);
  AddMatchers(out, "sourceIps", match.source_ips);
  AddMatchers(out, "notSourceIps", match.not_source_ips);
  AddMatchers(out, "destinationIps", match.destination_ips);
  AddMatchers(out, "notDestinationIps", match.not_destination_ips);
  AddMatchers(out, "destinationPorts", match.destination_ports);
  AddMatchers(out, "notDestinationPorts", match.not_destination_ports);
  return out;
}

Json PolicyJson(const state::Policy& policy) {
  static constexpr const char* kScopes[] = {"Global", "Namespace", "WorkloadSelector"};
  Json out;
  out["name"] = policy.name;
  out["namespace"] = policy.ns;
  out["scope"] = kScopes[static_cast<size_t>(policy.scope)];
  out["action"] = policy.action == state::PolicyAction::kDeny ? "Deny" : "Allow";
  out["rules"] = Json::array();
  for (const auto& rule : policy.rules) {
    Json clauses = Json::array();
    for (const auto& clause : rule) {
      Json matches = Json::array();
      for (const auto& match : clause) matches.push_back(MatchJson(match));
      clauses.push_back(std::move(matches));
    }
    out["rules"].push_back(std::move(clauses));
  }
  out["dryRun"] = policy.dry_run;
  return out;
}

// In the form in which a local file is written.
Json StaticJson(const Snapshot& snapshot) {
  const StaticConfig& config = snapshot.static_config;
  Json out = {
      {"workloads", Json::array()}, {"policies", Json::array()}, {"services", Json::array()}};
  for (const auto& workload : config.workloads) {
    Json one = WorkloadJson(*workload);
    one["services"] = Json::object();
    for (const auto& [key, ports] : workload->services) one["services"][key] = PortsJson(ports);
    out["workloads"].push_back(std::move(one));
  }
  for (const auto& policy : config.policies) out["policies"].push_back(PolicyJson(*policy));
  for (const auto& service : config.services) {
    out["services"].push_back(ServiceJson(*service, snapshot));
    out["services"].back().erase("endpoints");  // they are said with the workloads
  }
  return out;
}

Json StagedJson(const Snapshot& snapshot) {
  Json out = Json::object();
  for (const auto& [key, endpoints] : snapshot.staged_endpoints) {
    out[key] = EndpointsJson(endpoints);
  }
  return out;
}

std::string TimeText(std::chrono::system_clock::time_point time) {
  std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  size_t size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

Json CertificatesJson(const std::vector<identity::CertificateFacts>& certificates) {
  Json out = Json::array();
  for (const auto& certificate : certificates) {
    out.push_back({{"pem", Base64Encode(AsBytes(certificate.pem))},
                   {"serialNumber", certificate.serial},
                   {"validFrom", TimeText(certificate.not_before)},
                   {"expirationTime", TimeText(certificate.not_after)}});
  }
  return out;
}

// src, originalDst, actualDst and protocol as istioctl reads them.
Json ConnectionJson(const telemetry::OpenConnection& connection) {
  const auto& info = *connection.info;
  bool outbound = info.reporter == telemetry::Reporter::kSource;
  std::string app = info.hbone_authority.value_or(info.destination.ToString());
  Json out;
  out["src"] = info.source.ToString();
  out["originalDst"] = info.called.empty() ? Json() : Json(info.called);
  out["actualDst"] = outbound ? info.destination.ToString() : app;
  out["protocol"] = info.through_gateway ? "DOUBLEHBONE" : info.mutual_tls ? "HBONE" : "TCP";
  AddText(out, "srcIdentity", info.source_identity);
  AddText(out, "dstIdentity", info.destination_identity);
  out["bytesSent"] = outbound ? connection.received : connection.sent;
  out["bytesReceived"] = outbound ? connection.sent : connection.received;
  out["ageMs"] = connection.age.count();
  return out;
}

struct PodConnections {
  Json inbound = Json::array();
  Json outbound = Json::array();
};
// By namespace and name of the pod on whose side they are.
using ConnectionTable = std::map<std::pair<std::string, std::string>, PodConnections>;

ConnectionTable SortByPod(const std::vector<telemetry::OpenConnection>& connections) {
  ConnectionTable table;
  for (const auto& connection : connections) {
    const auto& info = *connection.info;
    bool outbound = info.reporter == telemetry::Reporter::kSource;
    const auto& local = outbound ? info.source_workload : info.destination_workload;
    if (!local) continue;
    auto& pod = table[{local->ns, local->name}];
    (outbound ? pod.outbound : pod.inbound).push_back(ConnectionJson(connection));
  }
  return table;
}

Json PodJson(const PodState& pod, const ConnectionTable& connections) {
  Json out = {
      {"state", pod.up ? "Up" : "Pending"},
      {"info",
       {{"name", pod.name}, {"namespace", pod.ns}, {"serviceAccount", pod.service_account}}}};
  if (!pod.up) return out;
  auto found = connections.find({pod.ns, pod.name});
  const PodConnections& open = found == connections.end() ? PodConnections() : found->second;
  out["connections"] = {{"inbound", open.inbound}, {"outbound", open.outbound}};
  return out;
}

// Nothing secret: neither tokens nor headers.
Json VersionJson(const config::Config& config) {
#ifdef NDEBUG
  constexpr const char* kProfile = "release";
#else
  constexpr const char* kProfile = "debug";
#endif
  auto istio = config.proxy_metadata.find("ISTIO_VERSION");
  return {{"version", AMBIT_VERSION},
          {"buildProfile", kProfile},
          {"compiler", __VERSION__},
          {"istioVersion", istio == config.proxy_metadata.end() ? "unknown" : istio->second},
          {"cryptoProvider", "openssl"}};
}

}  // namespace

std::string ConfigDump(const Snapshot& snapshot) {
  Json out;
  out["workloads"] = Json::array();
  for (const auto& workload : snapshot.workloads) {
    out["workloads"].push_back(WorkloadJson(*workload));
  }
  out["services"] = Json::array();
  for (const auto& service : snapshot.services) {
    out["services"].push_back(ServiceJson(*service, snapshot));
  }
  out["policies"] = Json::array();
  for (const auto& policy : snapshot.policies) out["policies"].push_back(PolicyJson(*policy));
  out["staticConfig"] = StaticJson(snapshot);
  out["stagedServices"] = StagedJson(snapshot);
  out["certificates"] = Json::array();
  for (const auto& certificate : snapshot.certificates) {
    out["certificates"].push_back({{"identity", certificate.identity},
                                   {"state", certificate.state},
                                   {"certChain", CertificatesJson(certificate.chain)},
                                   {"rootCerts", CertificatesJson(certificate.roots)}});
    AddText(out["certificates"].back(), "lastError", certificate.last_error);
  }
  out["workloadState"] = Json::object();
  const auto connections = SortByPod(snapshot.connections);
  for (const auto& [uid, pod] : snapshot.pods) {
    out["workloadState"][uid] = PodJson(pod, connections);
  }
  out["version"] = VersionJson(snapshot.config);
  out["config"] = Json::parse(ConfigSection(snapshot.config));
  // Names come from others and need not be UTF-8.
  return out.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ambit::admin
