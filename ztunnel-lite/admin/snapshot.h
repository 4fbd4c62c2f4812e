#pragma once

#include <map>
#include <string>
#include <vector>

#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/identity/ca/certificate_facts.h"
#include "ztunnel-lite/state/mesh_state.h"
#include "ztunnel-lite/telemetry/open_connections.h"

// Purpose  what the admin pages show, gathered as values, so that a page is a pure function.
namespace ambit::admin {

struct CertificateState {
  std::string identity;
  std::string state;       // "Available", "Initializing", "Unavailable: <error>"
  std::string last_error;  // of a renewal that failed while the certificate is still good
  std::vector<identity::CertificateFacts> chain, roots;
};

struct PodState {
  bool up = false;  // otherwise its start is tried again
  std::string name, ns, service_account;
};

// What a local file says, beside the control plane.
struct StaticConfig {
  std::vector<state::WorkloadPtr> workloads;
  std::vector<state::ServicePtr> services;
  std::vector<state::PolicyPtr> policies;
};

struct Snapshot {
  std::vector<state::WorkloadPtr> workloads;
  std::vector<state::ServicePtr> services;
  std::map<std::string, std::vector<state::ServiceEndpoint>> endpoints;  // by Service::Key()
  // Of services that have not come yet.
  std::map<std::string, std::vector<state::ServiceEndpoint>> staged_endpoints;
  std::vector<state::PolicyPtr> policies;
  StaticConfig static_config;
  std::vector<CertificateState> certificates;
  std::map<std::string, PodState> pods;                // by Kubernetes uid
  std::vector<telemetry::OpenConnection> connections;  // of all pods
  config::Config config;
};

// The JSON text of /config_dump, in the shape that istioctl reads.
std::string ConfigDump(const Snapshot& snapshot);

}  // namespace ambit::admin
