#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/observe/log.h"
#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/identity/credential_source.h"
#include "ztunnel-lite/names/host_resolver.h"
#include "ztunnel-lite/proxy/route.h"
#include "ztunnel-lite/telemetry/dns_meter.h"
#include "ztunnel-lite/telemetry/resolution_meter.h"
#include "ztunnel-lite/telemetry/traffic.h"
#include "ztunnel-lite/tls/peer_rules.h"

// Purpose  the data path of all pods: worker threads, per-pod listeners, tunnels.
// Threads  Start, Stop, Drain and List on the control thread; connections on the workers.
namespace ambit::proxy {

struct PodInfo {
  std::string uid;  // Kubernetes uid, the key of ZDS
  std::string name;
  std::string ns;
  std::string service_account;
  bool operator==(const PodInfo&) const = default;
};

class PodProxies {
 public:
  // What connections need; all of it outlives the object.
  struct Context {
    const config::Config& config;
    state::MeshState& mesh;
    identity::CredentialSource& credentials;
    telemetry::Traffic& traffic;
    observe::Log* log = nullptr;  // dry-run policies, exhausted descriptors; null: not said
    const tls::PeerRules* peer_rules = nullptr;  // null: none
    telemetry::DnsMeter* dns_meter = nullptr;    // null: not counted
    // Who is asked for a name where it is not known whom the pod asked.
    std::vector<net::Endpoint> fallback_resolvers{};
    // What the pod's names may end in; empty: what Kubernetes writes into its resolv.conf.
    std::vector<std::string> search_domains{};
    // For endpoints with a hostname in place of an address; null: they cannot be reached.
    names::HostResolver* resolver = nullptr;
    telemetry::ResolutionMeter* resolutions = nullptr;  // null: not counted
  };

  // Starts the worker threads. Errors  kResourceExhausted.
  static Result<std::unique_ptr<PodProxies>> Create(Context context);
  // Ends what is left at once, and the workers.
  ~PodProxies();

  // Binds every listener of the pod in `netns` and serves; when it returns without error, capture
  // is live. The same pod in the same namespace is a success that does nothing; in another
  // namespace it replaces the old one. No `netns` is the process's own namespace. Errors  of bind
  // or setns, with the port in the text; nothing is left behind.
  Result<void> Start(const PodInfo& pod, UniqueFd netns);
  // Serves the tunnel's own pod, in its own namespace: what comes in on 15008 only, so that its
  // metrics can be read over mTLS. Call once. Errors  of bind.
  Result<void> StartOwn(const PodInfo& pod);
  // The pod is gone: connections end at once. Unknown uids are fine.
  void Stop(const std::string& uid);
  // Stops accepting everywhere, sends GOAWAY, lets connections end until `deadline`, then cuts
  // them. Returns when none is left. Call once.
  void Drain(std::chrono::milliseconds deadline);

  std::vector<PodInfo> List() const;
  // Open connections re-checked against the policies that hold now; what is denied is closed.
  void RecheckPolicies();
  // Tunnels whose peers have been revoked end now.
  void RecheckPeers();

 private:
  class Impl;
  explicit PodProxies(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ambit::proxy
