#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/error.h"
#include "lib/net/address.h"

// Purpose  what the tunnel knows of the mesh, decoded and checked: identities, workloads, services,
//          policies.
// Threads  values; published as shared_ptr<const T>.
// Source   proto/workload.proto, proto/authorization.proto; SPIFFE-ID specification.
namespace ambit::state {

// spiffe://<trust_domain>/ns/<ns>/sa/<service_account>
struct Identity {
  std::string trust_domain;
  std::string ns;
  std::string service_account;

  std::string Uri() const;
  // Errors  kInvalidArgument: not exactly of that form.
  static Result<Identity> Parse(std::string_view uri);
  auto operator<=>(const Identity&) const = default;
};

struct NetworkAddress {
  std::string network;
  net::IpAddress address;
  auto operator<=>(const NetworkAddress&) const = default;
};

struct NamespacedHostname {
  std::string ns;
  std::string hostname;
  auto operator<=>(const NamespacedHostname&) const = default;
};

struct GatewayAddress {
  std::variant<NamespacedHostname, NetworkAddress> destination;
  uint16_t hbone_port = 0;
  bool operator==(const GatewayAddress&) const = default;
};

enum class TunnelProtocol : uint8_t { kNone, kHbone };
enum class WorkloadType : uint8_t { kDeployment, kCronJob, kPod, kJob };

struct Locality {
  std::string region, zone, subzone;
  bool operator==(const Locality&) const = default;
};

struct ApplicationTunnel {
  bool proxy_protocol = false;
  uint16_t port = 0;  // 0: not set
  bool operator==(const ApplicationTunnel&) const = default;
};

using PortMap = std::map<uint16_t, uint16_t>;  // service port to target port; 0 is a named port

struct Workload {
  std::string uid;
  std::string name;
  std::string ns;
  std::string service_account = "default";
  std::string trust_domain = "cluster.local";
  std::string network;
  std::string node;
  std::string hostname;
  std::string cluster_id = "Kubernetes";
  std::string canonical_name, canonical_revision, workload_name;
  WorkloadType workload_type = WorkloadType::kDeployment;
  std::vector<net::IpAddress> addresses;
  TunnelProtocol tunnel_protocol = TunnelProtocol::kNone;
  bool native_tunnel = false;
  bool host_network = false;
  bool healthy = true;
  uint32_t capacity = 1;
  Locality locality;
  std::optional<GatewayAddress> waypoint;
  std::optional<GatewayAddress> network_gateway;
  std::optional<ApplicationTunnel> application_tunnel;
  std::map<std::string, PortMap> services;          // "namespace/hostname"
  std::vector<std::string> authorization_policies;  // resource names

  Identity identity() const { return {trust_domain, ns, service_account}; }
  bool operator==(const Workload&) const = default;
};

enum class BalancingScope : uint8_t { kRegion, kZone, kSubzone, kNode, kCluster, kNetwork };
enum class BalancingMode : uint8_t { kUnspecified, kStrict, kFailover, kPassthrough };
enum class IpFamilies : uint8_t { kAutomatic, kIpv4Only, kIpv6Only, kDual };

struct CidrAddress {
  std::string network;
  net::Cidr cidr;
  auto operator<=>(const CidrAddress&) const = default;
};

struct WeightedWaypoint {
  GatewayAddress destination;
  uint32_t weight = 0;
  bool operator==(const WeightedWaypoint&) const = default;
};

struct Service {
  std::string name;
  std::string ns;
  std::string hostname;
  std::vector<NetworkAddress> vips;
  std::vector<CidrAddress> cidr_vips;
  PortMap ports;
  std::vector<std::string> subject_alt_names;
  std::optional<GatewayAddress> waypoint;
  std::vector<WeightedWaypoint> weighted_waypoints;
  BalancingMode balancing_mode = BalancingMode::kUnspecified;
  std::vector<BalancingScope> routing_preference;
  bool allow_unhealthy = false;  // health policy ALLOW_ALL
  IpFamilies ip_families = IpFamilies::kAutomatic;
  bool canonical = false;
  bool namespace_private = false;  // visibility NAMESPACE

  std::string Key() const { return ns + "/" + hostname; }
  bool operator==(const Service&) const = default;
};

enum class PolicyScope : uint8_t { kGlobal, kNamespace, kWorkloadSelector };
enum class PolicyAction : uint8_t { kAllow, kDeny };

struct StringMatch {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kPresence };
  Kind kind = Kind::kExact;
  std::string value;
  bool Matches(std::string_view text) const;
  bool operator==(const StringMatch&) const = default;
};

struct ServiceAccountMatch {
  std::string ns;
  std::string service_account;
  bool operator==(const ServiceAccountMatch&) const = default;
};

struct PolicyMatch {
  std::vector<StringMatch> namespaces, not_namespaces, principals, not_principals;
  std::vector<ServiceAccountMatch> service_accounts, not_service_accounts;
  std::vector<net::Cidr> source_ips, not_source_ips, destination_ips, not_destination_ips;
  std::vector<uint16_t> destination_ports, not_destination_ports;
  bool operator==(const PolicyMatch&) const = default;
};

struct Policy {
  std::string resource_name;
  std::string name;
  std::string ns;
  PolicyScope scope = PolicyScope::kNamespace;
  PolicyAction action = PolicyAction::kAllow;
  bool dry_run = false;
  // rules (any) of clauses (all) of matches (any)
  std::vector<std::vector<std::vector<PolicyMatch>>> rules;
  bool operator==(const Policy&) const = default;
};

}  // namespace ambit::state
