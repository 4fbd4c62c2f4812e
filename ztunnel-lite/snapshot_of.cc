#include "ztunnel-lite/snapshot_of.h"

namespace ambit {

namespace {

admin::CertificateState StateOf(const identity::CredentialCache::Status& status) {
  admin::CertificateState out;
  out.identity = status.identity.Uri();
  bool expired =
      status.credential && status.credential->not_after() <= std::chrono::system_clock::now();
  if (status.credential && !expired) {
    out.state = "Available";
    if (status.error) out.last_error = status.error->message();
    out.chain = identity::DescribeCertificates(status.credential->chain_pem());
    out.roots = identity::DescribeCertificates(status.credential->roots_pem());
  } else if (status.error) {
    out.state = "Unavailable: " + status.error->message();
  } else {
    out.state = "Initializing";
  }
  return out;
}

}  // namespace

admin::Snapshot SnapshotOf(const config::Config& config, const state::MeshState& mesh,
                           const identity::CredentialCache& credentials, const zds::PodSet* pods,
                           const telemetry::TrafficMeter& traffic, const local::Source* local) {
  admin::Snapshot out;
  out.config = config;
  out.workloads = mesh.AllWorkloads();
  out.services = mesh.AllServices();
  out.policies = mesh.AllPolicies();
  for (const auto& service : out.services) {
    out.endpoints[service->Key()] = mesh.EndpointsOf(*service);
  }
  out.staged_endpoints = mesh.StagedEndpoints();
  if (local != nullptr) {
    const local::Resources& loaded = local->loaded();
    out.static_config = {loaded.workloads, loaded.services, loaded.policies};
  }
  for (const auto& status : credentials.List()) out.certificates.push_back(StateOf(status));
  if (pods != nullptr) {
    for (const auto& [uid, entry] : pods->List()) {
      const auto& [pod, up] = entry;
      out.pods[uid] = {up, pod.name, pod.ns, pod.service_account};
    }
  }
  out.connections = traffic.ListOpen();
  return out;
}

}  // namespace ambit
