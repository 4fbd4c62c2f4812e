#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/environment.h"
#include "lib/base/error.h"
#include "lib/net/address.h"
#include "lib/net/socket.h"

// Purpose  the tunnel's configuration, from the environment variables and the file that ztunnel
//          takes; docs/configuration.md is the table of them.
// Threads  a value, made once in main().
namespace ambit::config {

inline constexpr char kMeshConfigPath[] = "./etc/istio/config/mesh";

// The one pod that a dedicated tunnel serves.
struct DedicatedPod {
  std::string ns, name, service_account;
  bool operator==(const DedicatedPod&) const = default;
};

// Where a pod's DNS proxy listens.
struct DnsAddress {
  std::optional<net::IpAddress> address{};  // none: the loopback address of each family
  uint16_t port = 15053;
};

struct Config {
  // Mesh
  std::string network;
  std::string node_name;
  std::string cluster_domain = "cluster.local";
  std::string cluster_id = "Kubernetes";

  // Control plane; an empty xDS address switches xDS off.
  std::string xds_address;
  std::string ca_address;
  std::string xds_root_ca = "./var/run/secrets/istio/root-cert.pem";
  std::string ca_root_ca = "./var/run/secrets/istio/root-cert.pem";
  std::string alt_xds_hostname, alt_ca_hostname;
  std::string auth_token_path;     // read anew for each call; empty: none
  std::string auth_token_literal;  // used where no path is set
  std::chrono::milliseconds secret_ttl{std::chrono::hours(24)};

  // Peers
  std::string crl_path;  // empty: nobody is ever revoked
  std::vector<std::string>
      trust_domain_aliases;  // one and the same; with TRUST_DOMAIN if not empty

  // Resources beside those of the control plane: a file, or its text. At most one is set.
  std::string local_xds_path, local_xds;

  // Pods
  std::optional<DedicatedPod> dedicated;  // none: the pods that the node's agent announces
  std::string zds_path = "/var/run/ztunnel/ztunnel.sock";
  uint32_t packet_mark = 0x539;  // 0: none
  bool reuse_port = true;
  std::optional<bool> preserve_source;  // ENABLE_ORIG_SRC; unset: if the kernel lets us

  // DNS
  bool dns = true;
  DnsAddress dns_address;
  std::string preferred_service_namespace;  // empty: none

  // Data path
  bool proxy = true;  // otherwise only DNS
  bool ipv6 = true;
  bool keepalive = true;
  net::KeepaliveOptions keepalive_options;
  bool user_timeout = false;
  int pool_max_streams = 100;
  std::chrono::milliseconds pool_unused_release{std::chrono::minutes(5)};
  uint32_t stream_window_bytes = 4u << 20;
  uint32_t connection_window_bytes = 16u << 20;
  uint32_t frame_size_bytes = 1u << 20;
  int worker_threads = 2;
  bool response_baggage = true;
  bool localhost_app_tunnel = true;  // PROXY protocol apps are called on loopback

  // Deadlines
  std::chrono::milliseconds connect_timeout{10000};
  std::chrono::milliseconds handshake_timeout{10000};  // TLS and HTTP/2 set-up
  std::chrono::milliseconds response_timeout{20000};   // answer to CONNECT
  std::chrono::milliseconds workload_wait{5000};       // for the pod's own workload
  std::chrono::milliseconds half_close_timeout{0};     // one side ended, other silent; 0: none
  std::chrono::milliseconds ping_interval{10000};      // of a tunnel, from the last pong
  std::chrono::milliseconds ping_timeout{20000};       // without a pong the tunnel ends
  std::chrono::milliseconds termination_deadline{5000};

  // Observability
  uint16_t admin_port = 15000;
  uint16_t metrics_port = 15020;
  uint16_t readiness_port = 15021;
  std::string log_filter = "info";
  bool log_json = false;
  size_t series_bound = 20000;                    // of traffic metrics
  std::chrono::milliseconds series_keep{300000};  // of workloads that are gone; 0: for ever
  std::chrono::milliseconds error_summary_interval{60000};  // 0: none
  bool log_policies = false;  // what policies decide, at level info instead of debug

  // Identity of the tunnel's own pod towards the control plane
  std::string pod_name, pod_namespace, instance_ip, service_account;
  std::string trust_domain = "cluster.local";
  // Of the proxy configuration, ISTIO_META_* over it, prefix removed.
  Environment::Map proxy_metadata;
  Environment::Map proxy_metadata_json;  // ISTIO_METAJSON_*, prefix removed, JSON texts
  Environment::Map xds_headers;          // XDS_HEADER_*, prefix removed, lower case
  Environment::Map ca_headers;           // CA_HEADER_*, likewise

  // For the log of the start: variables that look as if they were meant for us.
  std::vector<std::string> unknown_variables;

  // Errors  kInvalidArgument: names the variable, its value and what is accepted; also for a
  // variable that asks for something this tunnel does not do, where ignoring it would be unsafe.
  // A mesh configuration that is not there says nothing; kIo: one that cannot be read.
  static Result<Config> FromEnvironment(const Environment& environment,
                                        const std::string& mesh_config_path = kMeshConfigPath);
  // What FromEnvironment looks at; prefixes end in an asterisk.
  static std::vector<std::string> KnownVariables();
};

}  // namespace ambit::config
