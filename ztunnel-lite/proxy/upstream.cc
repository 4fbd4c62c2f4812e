#include "ztunnel-lite/proxy/upstream.h"

#include <algorithm>
#include <variant>

namespace ambit::proxy {

using state::GatewayAddress;
using state::MeshState;
using state::NamespacedHostname;
using state::NetworkAddress;
using state::ServicePtr;
using state::WorkloadPtr;

namespace {

bool FamilyAllowed(const ServicePtr& service, const net::IpAddress& address) {
  if (!service) return true;
  if (service->ip_families == state::IpFamilies::kIpv4Only) return address.is_v4();
  if (service->ip_families == state::IpFamilies::kIpv6Only) return !address.is_v4();
  return true;
}

}  // namespace

std::string NameOf(const GatewayAddress& reference) {
  if (const auto* hostname = std::get_if<NamespacedHostname>(&reference.destination)) {
    return hostname->ns + "/" + hostname->hostname;
  }
  const auto& address = std::get<NetworkAddress>(reference.destination);
  return address.network + "/" + address.address.ToString();
}

std::vector<std::string> Upstream::ExpectedSans() const {
  std::vector<std::string> sans = service ? SpiffeNames(*service) : std::vector<std::string>();
  std::string own = workload->identity().Uri();
  if (std::ranges::find(sans, own) == sans.end()) sans.push_back(std::move(own));
  return sans;
}

Lookup UpstreamFinder::FromService(const ServicePtr& service, uint16_t port, PortRule rule) {
  Lookup lookup;
  if (service->balancing_mode == state::BalancingMode::kPassthrough) {
    lookup.passthrough = true;
    return lookup;
  }
  if (auto chosen =
          ChooseEndpoint(mesh_, *service, port, rule, source(), random_, request_.unreachable)) {
    lookup.upstream = Upstream{chosen->workload, chosen->port, service};
  }
  return lookup;
}

Lookup UpstreamFinder::Find(const NetworkAddress& address, uint16_t port, PortRule rule) {
  if (auto service = mesh_.FindServiceByAddress(address, source().ns)) {
    return FromService(service, port, rule);
  }
  Lookup lookup;
  if (auto workload = mesh_.FindWorkloadByAddress(address)) {
    lookup.upstream = Upstream{workload, port, nullptr};
  }
  return lookup;
}

Result<Upstream> UpstreamFinder::Resolve(const GatewayAddress& reference, std::string_view kind,
                                         PortRule rule) {
  Lookup lookup;
  if (const auto* address = std::get_if<NetworkAddress>(&reference.destination)) {
    lookup = Find(*address, reference.hbone_port, rule);
  } else {
    const auto& hostname = std::get<NamespacedHostname>(reference.destination);
    if (auto service = mesh_.FindService(hostname)) {
      lookup = FromService(service, reference.hbone_port, rule);
    } else if (auto workload = mesh_.FindWorkloadByHostname(hostname)) {
      lookup.upstream = Upstream{workload, reference.hbone_port, nullptr};
    }
  }
  if (lookup.upstream) return *lookup.upstream;
  return Fail(ErrorCode::kUnavailable,
              "unknown " + std::string(kind) + ": " + NameOf(reference) +
                  " is not known here, or has no healthy endpoint for port " +
                  std::to_string(reference.hbone_port));
}

Result<Whereabouts> UpstreamFinder::Locate(const Upstream& upstream,
                                           const GatewayAddress& reference) const {
  const auto* address = std::get_if<NetworkAddress>(&reference.destination);
  return Locate(upstream, address ? address->address : request_.destination.address);
}

Result<Whereabouts> UpstreamFinder::Locate(const Upstream& upstream,
                                           const net::IpAddress& called) const {
  const auto& addresses = upstream.workload->addresses;
  if (std::ranges::find(addresses, called) != addresses.end()) return Whereabouts{called, ""};
  const net::IpAddress* first = nullptr;
  for (const auto& address : addresses) {
    if (!FamilyAllowed(upstream.service, address)) continue;
    if (address.family() == called.family()) return Whereabouts{address, ""};
    if (first == nullptr) first = &address;
  }
  if (first != nullptr) return Whereabouts{*first, ""};
  const auto& workload = *upstream.workload;
  if (!workload.hostname.empty()) return Whereabouts{{}, workload.hostname};
  return Fail(ErrorCode::kInvalidArgument,
              "no valid destination: workload " + workload.uid +
                  (addresses.empty() ? " has neither an address nor a hostname"
                                     : " has no address of a family that the service allows"));
}

bool UpstreamFinder::IsClient(const state::Workload& workload) const {
  return workload.identity() == source().identity() &&
         std::ranges::find(workload.addresses, request_.client.address) != workload.addresses.end();
}

bool UpstreamFinder::ComesFrom(const GatewayAddress& reference) const {
  ServicePtr service;
  WorkloadPtr workload;
  if (const auto* address = std::get_if<NetworkAddress>(&reference.destination)) {
    service = mesh_.FindServiceByAddress(*address, source().ns);
    if (!service) workload = mesh_.FindWorkloadByAddress(*address);
  } else {
    const auto& hostname = std::get<NamespacedHostname>(reference.destination);
    service = mesh_.FindService(hostname);
    if (!service) workload = mesh_.FindWorkloadByHostname(hostname);
  }
  if (workload) return IsClient(*workload);
  if (!service) return false;
  bool found = false;
  mesh_.VisitEndpoints(*service, [&](std::span<const MeshState::EndpointView> endpoints) {
    found = std::ranges::any_of(endpoints,
                                [&](const auto& endpoint) { return IsClient(*endpoint.workload); });
  });
  return found;
}

}  // namespace ambit::proxy
