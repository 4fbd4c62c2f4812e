#include "ztunnel-lite/local/read.h"

namespace ambit::local {

namespace {

using state::Workload;

void ReadNames(Fields& fields, Workload& out) {
  fields.Text("name", out.name);
  fields.Text("namespace", out.ns);
  fields.Text("trustDomain", out.trust_domain);
  fields.Text("serviceAccount", out.service_account);
  fields.Text("network", out.network);
  fields.Text("node", out.node);
  fields.Text("hostname", out.hostname);
  fields.Text("clusterId", out.cluster_id);
  fields.Text("canonicalName", out.canonical_name);
  fields.Text("canonicalRevision", out.canonical_revision);
  fields.Text("workloadName", out.workload_name);
  out.uid = "local/" + out.ns + "/" + out.name;
  fields.Text("uid", out.uid);
  fields.Texts("authorizationPolicies", out.authorization_policies);
}

void ReadKinds(Fields& fields, Workload& out) {
  using state::TunnelProtocol;
  using state::WorkloadType;
  fields.Choice("protocol", {{"TCP", TunnelProtocol::kNone}, {"HBONE", TunnelProtocol::kHbone}},
                out.tunnel_protocol);
  fields.Choice("networkMode", {{"Standard", false}, {"HostNetwork", true}}, out.host_network);
  fields.Choice("status", {{"Healthy", true}, {"Unhealthy", false}}, out.healthy);
  fields.Choice("workloadType",
                {{"deployment", WorkloadType::kDeployment},
                 {"cronjob", WorkloadType::kCronJob},
                 {"pod", WorkloadType::kPod},
                 {"job", WorkloadType::kJob}},
                out.workload_type);
  fields.Flag("nativeTunnel", out.native_tunnel);
  fields.Integer("capacity", out.capacity);
}

void ReadLocality(Fields& fields, state::Locality& out) {
  const YamlValue* value = fields.FindUnlessNull("locality");
  if (value == nullptr) return;
  Fields locality(*value, "locality", fields.report());
  locality.Text("region", out.region);
  locality.Text("zone", out.zone);
  locality.Text("subzone", out.subzone);
}

void ReadTunnel(Fields& fields, Workload& out) {
  const YamlValue* value = fields.FindUnlessNull("applicationTunnel");
  if (value == nullptr) return;
  out.application_tunnel.emplace();
  Fields tunnel(*value, "application tunnel", fields.report());
  tunnel.Choice("protocol", {{"NONE", false}, {"PROXY", true}},
                out.application_tunnel->proxy_protocol);
  if (tunnel.FindUnlessNull("port") != nullptr)
    tunnel.Integer("port", out.application_tunnel->port);
}

void ReadMemberships(Fields& fields, Workload& out) {
  const YamlValue* services = fields.Find("services");
  if (services == nullptr) return;
  if (services->kind != YamlValue::Kind::kMap) {
    fields.report().Add(*services,
                        "services: a map from <namespace>/<hostname> to ports is wanted");
    return;
  }
  for (const YamlValue& item : services->items) {
    PairOf(item, item.key, "<namespace>/<hostname>", fields.report());
    out.services[item.key] = ReadPorts(item, fields.report());
  }
}

}  // namespace

Workload ReadWorkload(const YamlValue& value, Report& report) {
  Workload out;
  Fields fields(value, "workload", report);
  fields.Require({"workloadIps", "namespace"});
  ReadNames(fields, out);
  if (const YamlValue* addresses = fields.Find("workloadIps")) {
    for (const YamlValue& item : ItemsOf(*addresses, report)) {
      out.addresses.push_back(IpOf(item, TextOf(item, report), report));
    }
  }
  ReadKinds(fields, out);
  ReadLocality(fields, out.locality);
  ReadTunnel(fields, out);
  out.waypoint = ReadGateway(fields.FindUnlessNull("waypoint"), report);
  out.network_gateway = ReadGateway(fields.FindUnlessNull("networkGateway"), report);
  ReadMemberships(fields, out);
  if (out.uid.empty()) report.Add(value, "the uid of a workload is empty");
  return out;
}

}  // namespace ambit::local
