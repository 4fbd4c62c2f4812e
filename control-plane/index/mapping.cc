#include "control-plane/index/mapping.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <utility>

namespace ambit::index {
namespace {

namespace wl = istio::workload;

std::string AddressBytes(const net::IpAddress& address) {
  return std::string(AsText(address.bytes()));
}

std::string FirstLabel(const k8s::Pod& pod, std::initializer_list<std::string_view> keys,
                       std::string fallback) {
  for (std::string_view key : keys) {
    auto found = pod.labels.find(key);
    if (found != pod.labels.end() && !found->second.empty()) return found->second;
  }
  return fallback;
}

// "web-7f9c6d5b8" of a ReplicaSet is "web" of its Deployment; the controllers append one part.
std::string WithoutLastPart(const std::string& name) {
  size_t dash = name.rfind('-');
  return dash == std::string::npos || dash == 0 ? name : name.substr(0, dash);
}

// A Job made by a CronJob ends with its time in minutes since 1970.
bool IsCronJobRun(const std::string& name) {
  size_t dash = name.rfind('-');
  if (dash == std::string::npos || dash == 0 || name.size() - dash - 1 < 8) return false;
  return std::all_of(name.begin() + static_cast<ptrdiff_t>(dash) + 1, name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

std::pair<wl::WorkloadType, std::string> OwnerOf(const k8s::Pod& pod) {
  if (pod.owner_kind.empty()) return {wl::POD, pod.name};
  if (pod.owner_kind == "ReplicaSet") return {wl::DEPLOYMENT, WithoutLastPart(pod.owner_name)};
  if (pod.owner_kind == "Job") {
    if (IsCronJobRun(pod.owner_name)) return {wl::CRONJOB, WithoutLastPart(pod.owner_name)};
    return {wl::JOB, pod.owner_name};
  }
  // The API has no type for DaemonSets, StatefulSets and others; Istio calls them deployments too.
  return {wl::DEPLOYMENT, pod.owner_name};
}

std::optional<uint32_t> CapacityOf(const k8s::Pod& pod) {
  auto found = pod.annotations.find(std::string_view(kCapacityAnnotation));
  if (found == pod.annotations.end()) return std::nullopt;
  const std::string& text = found->second;
  uint32_t capacity = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), capacity);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return capacity;
}

bool SpeaksHbone(const k8s::Pod& pod, const k8s::Namespace& of_pod) {
  if (pod.host_network) return false;
  auto redirection = pod.annotations.find(std::string_view(kRedirectionAnnotation));
  if (redirection != pod.annotations.end() && redirection->second == "enabled") return true;
  return k8s::MeshSelection::Default().Matches(pod, of_pod);
}

std::optional<uint16_t> TargetPort(const k8s::ServicePort& port, const k8s::Pod& pod) {
  if (auto* number = std::get_if<uint16_t>(&port.target_port)) return *number;
  const std::string& name = std::get<std::string>(port.target_port);
  auto named = std::ranges::find(pod.ports, name, &k8s::ContainerPort::name);
  if (named == pod.ports.end()) return std::nullopt;
  return named->port;
}

wl::PortList PortsOf(const k8s::Service& service, const k8s::Pod& pod) {
  wl::PortList list;
  for (const k8s::ServicePort& port : service.ports) {
    auto target = TargetPort(port, pod);
    // A name that this pod does not have: the pod does not serve that port.
    if (!target) continue;
    wl::Port& out = *list.add_ports();
    out.set_service_port(port.port);
    out.set_target_port(*target);
  }
  return list;
}

void SetNames(const MeshNames& names, const k8s::Pod& pod, wl::Workload& workload) {
  workload.set_uid(WorkloadUid(names, pod));
  workload.set_name(pod.name);
  workload.set_namespace_(pod.namespace_name);
  workload.set_service_account(pod.service_account);
  workload.set_trust_domain(names.trust_domain);
  workload.set_cluster_id(names.cluster_id);
  workload.set_network(names.network);
  workload.set_node(pod.node_name);
  auto [type, owner] = OwnerOf(pod);
  workload.set_workload_type(type);
  workload.set_workload_name(owner);
  workload.set_canonical_name(
      FirstLabel(pod, {"service.istio.io/canonical-name", "app.kubernetes.io/name", "app"}, owner));
  workload.set_canonical_revision(FirstLabel(
      pod, {"service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"},
      "latest"));
}

wl::IPFamilies FamiliesOf(const k8s::Service& service) {
  bool v4 = std::ranges::any_of(service.cluster_ips, &net::IpAddress::is_v4);
  bool v6 = !std::ranges::all_of(service.cluster_ips, &net::IpAddress::is_v4);
  if (v4 && v6) return wl::DUAL;
  if (v4) return wl::IPV4_ONLY;
  return v6 ? wl::IPV6_ONLY : wl::AUTOMATIC;
}

std::string HostnameOf(const MeshNames& names, const k8s::Service& service) {
  return service.name + "." + service.namespace_name + ".svc." + names.cluster_domain;
}

}  // namespace

std::string WorkloadUid(const MeshNames& names, const k8s::Pod& pod) {
  return names.cluster_id + "//Pod/" + pod.Key();
}

std::string ServiceName(const MeshNames& names, const k8s::Service& service) {
  return service.namespace_name + "/" + HostnameOf(names, service);
}

bool Selects(const k8s::Service& service, const k8s::Pod& pod) {
  // Without a selector its endpoints are someone else's, not every pod.
  if (service.selector.empty()) return false;
  return std::ranges::all_of(service.selector, [&](const auto& wanted) {
    auto label = pod.labels.find(wanted.first);
    return label != pod.labels.end() && label->second == wanted.second;
  });
}

std::optional<wl::Workload> ToWorkload(const MeshNames& names, const k8s::Pod& pod,
                                       const k8s::Namespace& of_pod,
                                       const ServicesByName& services) {
  if (pod.Terminal() || pod.ips.empty()) return std::nullopt;
  wl::Workload workload;
  SetNames(names, pod, workload);
  for (const net::IpAddress& ip : pod.ips) workload.add_addresses(AddressBytes(ip));
  if (pod.host_network) workload.set_network_mode(wl::HOST_NETWORK);
  if (SpeaksHbone(pod, of_pod)) workload.set_tunnel_protocol(wl::HBONE);
  workload.set_status(pod.ready ? wl::HEALTHY : wl::UNHEALTHY);
  for (const auto& [name, service] : services) {
    if (Selects(*service, pod)) {
      (*workload.mutable_services())[ServiceName(names, *service)] = PortsOf(*service, pod);
    }
  }
  if (auto capacity = CapacityOf(pod)) workload.mutable_capacity()->set_value(*capacity);
  return workload;
}

wl::Service ToService(const MeshNames& names, const k8s::Service& service) {
  wl::Service out;
  out.set_name(service.name);
  out.set_namespace_(service.namespace_name);
  out.set_hostname(HostnameOf(names, service));
  for (const net::IpAddress& ip : service.cluster_ips) {
    wl::NetworkAddress& address = *out.add_addresses();
    address.set_network(names.network);
    address.set_address(AddressBytes(ip));
  }
  for (const k8s::ServicePort& port : service.ports) {
    wl::Port& added = *out.add_ports();
    added.set_service_port(port.port);
    auto* number = std::get_if<uint16_t>(&port.target_port);
    added.set_target_port(number == nullptr ? 0 : *number);
  }
  out.set_ip_families(FamiliesOf(service));
  out.set_canonical(true);
  if (service.publish_not_ready_addresses) {
    out.mutable_load_balancing()->set_health_policy(wl::LoadBalancing::ALLOW_ALL);
  }
  return out;
}

}  // namespace ambit::index
