#include "ztunnel-lite/local/read.h"

namespace ambit::local {

namespace {

using state::Service;

void ReadVips(Fields& fields, Service& out) {
  Report& report = fields.report();
  if (const YamlValue* vips = fields.Find("vips")) {
    for (const YamlValue& item : ItemsOf(*vips, report)) {
      out.vips.push_back(ReadNetworkAddress(item, report));
    }
  }
  const YamlValue* prefixes = fields.Find("cidrVips");
  if (prefixes == nullptr) return;
  for (const YamlValue& item : ItemsOf(*prefixes, report)) {
    state::CidrAddress vip;
    Fields entry(item, "prefix of addresses", report);
    entry.Require({"cidr"});
    entry.Text("network", vip.network);
    if (const YamlValue* cidr = entry.Find("cidr")) vip.cidr = CidrOf(*cidr, report);
    out.cidr_vips.push_back(std::move(vip));
  }
}

void ReadBalancing(Fields& fields, Service& out) {
  using state::BalancingMode;
  using state::BalancingScope;
  // In the order of their enumeration.
  static const std::vector<std::string_view> kScopes = {"Region", "Zone",    "Subzone",
                                                        "Node",   "Cluster", "Network"};
  const YamlValue* value = fields.FindUnlessNull("loadBalancer");
  if (value == nullptr) return;
  Report& report = fields.report();
  Fields balancer(*value, "load balancer", report);
  balancer.Choice("mode",
                  {{"Standard", BalancingMode::kUnspecified},
                   {"Strict", BalancingMode::kStrict},
                   {"Failover", BalancingMode::kFailover},
                   {"Passthrough", BalancingMode::kPassthrough}},
                  out.balancing_mode);
  balancer.Choice("healthPolicy", {{"OnlyHealthy", false}, {"AllowAll", true}},
                  out.allow_unhealthy);
  const YamlValue* scopes = balancer.Find("routingPreferences");
  if (scopes == nullptr) return;
  for (const YamlValue& item : ItemsOf(*scopes, report)) {
    out.routing_preference.push_back(static_cast<BalancingScope>(ChoiceOf(item, kScopes, report)));
  }
}

void ReadWaypoints(Fields& fields, Service& out) {
  Report& report = fields.report();
  out.waypoint = ReadGateway(fields.FindUnlessNull("waypoint"), report);
  const YamlValue* list = fields.Find("weightedWaypoints");
  if (list == nullptr) return;
  for (const YamlValue& item : ItemsOf(*list, report)) {
    Fields entry(item, "weighted waypoint", report);
    entry.Require({"destination", "weight"});
    state::WeightedWaypoint weighted;
    if (auto destination = ReadGateway(entry.Find("destination"), report)) {
      weighted.destination = *std::move(destination);
    }
    entry.Integer("weight", weighted.weight);
    out.weighted_waypoints.push_back(std::move(weighted));
  }
}

std::vector<ServiceEndpoints::Endpoint> ReadEndpoints(Fields& fields) {
  std::vector<ServiceEndpoints::Endpoint> out;
  const YamlValue* map = fields.Find("endpoints");
  if (map == nullptr) return out;
  Report& report = fields.report();
  if (map->kind != YamlValue::Kind::kMap) report.Add(*map, "endpoints: a map is wanted");
  for (const YamlValue& item : map->items) {
    ServiceEndpoints::Endpoint& endpoint = out.emplace_back(&item, item.key);
    Fields entry(item, "endpoint", report);
    entry.Text("workloadUid", endpoint.workload_uid);
    if (const YamlValue* ports = entry.Find("port")) endpoint.ports = ReadPorts(*ports, report);
    bool healthy = true;
    entry.Choice("status", {{"Healthy", true}, {"Unhealthy", false}}, healthy);
    if (entry.Find("status") != nullptr) endpoint.healthy = healthy;
  }
  return out;
}

}  // namespace

ServiceEndpoints ReadService(const YamlValue& value, Report& report) {
  using state::IpFamilies;
  ServiceEndpoints out;
  Service& service = out.service;
  Fields fields(value, "service", report);
  fields.Require({"name", "namespace", "hostname", "vips", "ports"});
  fields.Text("name", service.name);
  fields.Text("namespace", service.ns);
  fields.Text("hostname", service.hostname);
  ReadVips(fields, service);
  if (const YamlValue* ports = fields.Find("ports")) service.ports = ReadPorts(*ports, report);
  fields.Texts("subjectAltNames", service.subject_alt_names);
  ReadWaypoints(fields, service);
  ReadBalancing(fields, service);
  fields.Choice("ipFamilies",
                {{"Dual", IpFamilies::kDual},
                 {"IPv4", IpFamilies::kIpv4Only},
                 {"IPv6", IpFamilies::kIpv6Only}},
                service.ip_families);
  fields.Flag("canonical", service.canonical);
  fields.Choice("visibility", {{"Public", false}, {"Namespace", true}}, service.namespace_private);
  out.endpoints = ReadEndpoints(fields);
  return out;
}

}  // namespace ambit::local
