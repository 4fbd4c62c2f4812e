#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ztunnel-lite/proxy/pod_proxies.h"
#include "ztunnel-lite/proxy/testing/pod_network.h"
#include "ztunnel-lite/proxy/testing/recording_traffic.h"
#include "ztunnel-lite/proxy/testing/test_app.h"
#include "ztunnel-lite/tls/test_credentials.h"

namespace ambit::proxy::testing {

// Certificates signed by a test's own root, made on demand.
class TestCredentials : public identity::CredentialSource {
 public:
  boost::asio::awaitable<Result<tls::CredentialPtr>> Get(state::Identity identity) override;
  // From now on pods of `asked` present themselves as `given`.
  void Impersonate(const state::Identity& asked, const state::Identity& given);
  // Lists that revoke the certificates of these pods.
  tls::CrlSetPtr Revoke(const std::vector<state::Identity>& identities);
  Result<tls::CredentialPtr> Find(const state::Identity& asked);

 private:
  std::mutex mutex_;
  tls::TestMeshCa ca_;
  std::map<state::Identity, state::Identity> impersonated_;
  std::map<state::Identity, tls::CredentialPtr> made_;
};

// Pod "client" on node-a, pod "server" on node-b, both captured, and pod "stranger" that is not in
// the mesh; a tunnel per node, all in this process. Service web.default.svc.cluster.local with VIP
// 10.96.0.9:80 leads to server:8080.
class TwoNodes : public ::testing::Test {
 protected:
  void SetUp() override;

  static net::Endpoint At(const std::string& text) { return net::Endpoint::Parse(text).value(); }
  net::Endpoint ServerAt(uint16_t port) const { return {server_.ipv4, port}; }
  static state::Identity IdentityOf(const std::string& name) {
    return {"cluster.local", "default", name};
  }
  static PodInfo InfoOf(const std::string& name) { return {name + "-uid", name, "default", name}; }
  // A workload as the control plane would announce it.
  state::Workload WorkloadOf(const std::string& name, const std::string& node,
                             const PodNetwork::Pod& pod) const;
  void Announce(state::Workload workload);
  tls::CredentialPtr CredentialOf(const std::string& name) {
    return credentials_.Find(IdentityOf(name)).value();
  }
  // Denies `port` of the server to everybody.
  void DenyPort(uint16_t port);

  std::unique_ptr<PodProxies> MakeNode(const config::Config& config,
                                       const tls::PeerRules* peer_rules = nullptr);
  void StartPods();

  PodNetwork network_;
  PodNetwork::Pod client_ = network_.AddPod(1, PodNetwork::Capture::kYes);
  PodNetwork::Pod server_ = network_.AddPod(2, PodNetwork::Capture::kYes);
  PodNetwork::Pod stranger_ = network_.AddPod(3, PodNetwork::Capture::kNo);
  state::MeshState mesh_;
  TestCredentials credentials_;
  RecordingTraffic traffic_;
  names::HostResolver* resolver_ = nullptr;  // of nodes made from now on
  telemetry::ResolutionMeter resolutions_;
  config::Config config_a_;
  config::Config config_b_;
  const tls::PeerRules* peer_rules_a_ = nullptr;
  const tls::PeerRules* peer_rules_b_ = nullptr;
  std::unique_ptr<PodProxies> node_a_;
  std::unique_ptr<PodProxies> node_b_;
};

}  // namespace ambit::proxy::testing
