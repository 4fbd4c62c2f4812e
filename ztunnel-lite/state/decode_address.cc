#include "ztunnel-lite/state/decode.h"
#include "ztunnel-lite/state/decode_fields.h"

namespace ambit::state {

namespace pb = istio::workload;

namespace {

std::string OrDefault(const std::string& text, const char* fallback) {
  return text.empty() ? fallback : text;
}

WorkloadType TypeOf(pb::WorkloadType type) {
  switch (type) {
    case pb::CRONJOB:
      return WorkloadType::kCronJob;
    case pb::POD:
      return WorkloadType::kPod;
    case pb::JOB:
      return WorkloadType::kJob;
    default:
      return WorkloadType::kDeployment;
  }
}

Result<void> DecodeEnums(const pb::Workload& message, Workload& out) {
  if (message.tunnel_protocol() != pb::NONE && message.tunnel_protocol() != pb::HBONE) {
    return BadField("tunnel_protocol",
                    std::to_string(message.tunnel_protocol()) + " is not supported");
  }
  if (!pb::WorkloadStatus_IsValid(message.status())) {
    return BadField("status", std::to_string(message.status()) + " is unknown");
  }
  if (!pb::NetworkMode_IsValid(message.network_mode())) {
    return BadField("network_mode", std::to_string(message.network_mode()) + " is unknown");
  }
  out.tunnel_protocol =
      message.tunnel_protocol() == pb::HBONE ? TunnelProtocol::kHbone : TunnelProtocol::kNone;
  out.healthy = message.status() == pb::HEALTHY;
  out.host_network = message.network_mode() == pb::HOST_NETWORK;
  out.workload_type = TypeOf(message.workload_type());
  return {};
}

Result<void> DecodeTunnels(const pb::Workload& message, Workload& out) {
  if (message.has_waypoint()) {
    auto waypoint = DecodeGateway("waypoint", message.waypoint());
    if (!waypoint) return std::unexpected(waypoint.error());
    out.waypoint = std::move(*waypoint);
  }
  if (message.has_network_gateway()) {
    auto gateway = DecodeGateway("network_gateway", message.network_gateway());
    if (!gateway) return std::unexpected(gateway.error());
    out.network_gateway = std::move(*gateway);
  }
  if (message.has_application_tunnel()) {
    const auto& tunnel = message.application_tunnel();
    if (!pb::ApplicationTunnel_Protocol_IsValid(tunnel.protocol())) {
      return BadField("application_tunnel.protocol",
                      std::to_string(tunnel.protocol()) + " is unknown");
    }
    auto port = DecodePort("application_tunnel.port", tunnel.port());
    if (!port) return std::unexpected(port.error());
    out.application_tunnel =
        ApplicationTunnel{tunnel.protocol() == pb::ApplicationTunnel::PROXY, *port};
  }
  return {};
}

Result<void> DecodeMemberships(const pb::Workload& message, Workload& out) {
  for (const auto& [name, list] : message.services()) {
    if (name.find('/') == std::string::npos) {
      return BadField("services", "\"" + name + "\" is not <namespace>/<hostname>");
    }
    auto ports = DecodePorts("services[" + name + "]", list.ports());
    if (!ports) return std::unexpected(ports.error());
    out.services.emplace(name, std::move(*ports));
  }
  return {};
}

void DecodeNames(const pb::Workload& message, Workload& out) {
  out.uid = message.uid();
  out.name = message.name();
  out.ns = message.namespace_();
  out.service_account = OrDefault(message.service_account(), "default");
  out.trust_domain = OrDefault(message.trust_domain(), "cluster.local");
  out.network = message.network();
  out.node = message.node();
  out.hostname = message.hostname();
  out.cluster_id = OrDefault(message.cluster_id(), "Kubernetes");
  out.canonical_name = message.canonical_name();
  out.canonical_revision = message.canonical_revision();
  out.workload_name = message.workload_name();
  out.native_tunnel = message.native_tunnel();
  out.capacity = message.has_capacity() ? message.capacity().value() : 1;
  out.locality = {message.locality().region(), message.locality().zone(),
                  message.locality().subzone()};
  out.authorization_policies.assign(message.authorization_policies().begin(),
                                    message.authorization_policies().end());
}

Result<BalancingScope> ScopeOf(int scope) {
  switch (scope) {
    case pb::LoadBalancing::REGION:
      return BalancingScope::kRegion;
    case pb::LoadBalancing::ZONE:
      return BalancingScope::kZone;
    case pb::LoadBalancing::SUBZONE:
      return BalancingScope::kSubzone;
    case pb::LoadBalancing::NODE:
      return BalancingScope::kNode;
    case pb::LoadBalancing::CLUSTER:
      return BalancingScope::kCluster;
    case pb::LoadBalancing::NETWORK:
      return BalancingScope::kNetwork;
    default:
      return BadField("load_balancing.routing_preference", std::to_string(scope) + " is unknown");
  }
}

Result<void> DecodeBalancing(const pb::Service& message, Service& out) {
  const auto& balancing = message.load_balancing();
  if (!pb::LoadBalancing_Mode_IsValid(balancing.mode())) {
    return BadField("load_balancing.mode", std::to_string(balancing.mode()) + " is unknown");
  }
  if (!pb::LoadBalancing_HealthPolicy_IsValid(balancing.health_policy())) {
    return BadField("load_balancing.health_policy",
                    std::to_string(balancing.health_policy()) + " is unknown");
  }
  if (!pb::IPFamilies_IsValid(message.ip_families())) {
    return BadField("ip_families", std::to_string(message.ip_families()) + " is unknown");
  }
  // Same numbers on both sides, checked to be in range above.
  out.balancing_mode = static_cast<BalancingMode>(balancing.mode());
  out.ip_families = static_cast<IpFamilies>(message.ip_families());
  out.allow_unhealthy = balancing.health_policy() == pb::LoadBalancing::ALLOW_ALL;
  for (int value : balancing.routing_preference()) {
    auto scope = ScopeOf(value);
    if (!scope) return std::unexpected(scope.error());
    out.routing_preference.push_back(*scope);
  }
  return {};
}

Result<void> DecodeVips(const pb::Service& message, Service& out) {
  for (const auto& vip : message.addresses()) {
    auto address = DecodeIp("addresses", vip.address());
    if (!address) return std::unexpected(address.error());
    if (!vip.has_length() || vip.length() == vip.address().size() * 8) {
      out.vips.push_back({vip.network(), *address});
      continue;
    }
    auto cidr = DecodeCidr("addresses", vip.address(), vip.length());
    if (!cidr) return std::unexpected(cidr.error());
    out.cidr_vips.push_back({vip.network(), *cidr});
  }
  return {};
}

Result<void> DecodeWaypoints(const pb::Service& message, Service& out) {
  if (message.has_waypoint()) {
    auto waypoint = DecodeGateway("waypoint", message.waypoint());
    if (!waypoint) return std::unexpected(waypoint.error());
    out.waypoint = std::move(*waypoint);
  }
  for (const auto& weighted : message.weighted_waypoints()) {
    auto waypoint = DecodeGateway("weighted_waypoints", weighted.destination());
    if (!waypoint) return std::unexpected(waypoint.error());
    out.weighted_waypoints.push_back({std::move(*waypoint), weighted.weight()});
  }
  return {};
}

}  // namespace

Result<Workload> DecodeWorkload(const pb::Workload& message) {
  Workload out;
  if (message.uid().empty()) return BadField("uid", "is empty");
  DecodeNames(message, out);
  for (const auto& bytes : message.addresses()) {
    auto address = DecodeIp("addresses", bytes);
    if (!address) return std::unexpected(address.error());
    out.addresses.push_back(*address);
  }
  for (auto decode : {DecodeEnums, DecodeTunnels, DecodeMemberships}) {
    auto decoded = decode(message, out);
    if (!decoded) return std::unexpected(decoded.error());
  }
  return out;
}

Result<Service> DecodeService(const pb::Service& message) {
  Service out;
  if (message.hostname().empty()) return BadField("hostname", "is empty");
  out.name = message.name();
  out.ns = message.namespace_();
  out.hostname = message.hostname();
  out.subject_alt_names.assign(message.subject_alt_names().begin(),
                               message.subject_alt_names().end());
  out.canonical = message.canonical();
  // A visibility of the future is public, as nobody is locked out by a word we do not know.
  out.namespace_private = message.visibility() == pb::Service::NAMESPACE;
  auto ports = DecodePorts("ports", message.ports());
  if (!ports) return std::unexpected(ports.error());
  out.ports = std::move(*ports);
  for (auto decode : {DecodeBalancing, DecodeVips, DecodeWaypoints}) {
    auto decoded = decode(message, out);
    if (!decoded) return std::unexpected(decoded.error());
  }
  return out;
}

Result<std::variant<Workload, Service>> DecodeAddress(const pb::Address& message) {
  if (message.has_workload()) {
    auto workload = DecodeWorkload(message.workload());
    if (!workload) return std::unexpected(workload.error());
    return std::move(*workload);
  }
  if (message.has_service()) {
    auto service = DecodeService(message.service());
    if (!service) return std::unexpected(service.error());
    return std::move(*service);
  }
  return BadField("type", "neither workload nor service is set");
}

}  // namespace ambit::state
