#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy::testing {

boost::asio::awaitable<Result<tls::CredentialPtr>> TestCredentials::Get(state::Identity identity) {
  co_return Find(identity);
}

Result<tls::CredentialPtr> TestCredentials::Find(const state::Identity& asked) {
  std::lock_guard lock(mutex_);
  auto given = impersonated_.find(asked);
  const auto& shown = given == impersonated_.end() ? asked : given->second;
  auto& made = made_[shown];
  if (!made) made = ca_.Credential({.uri = shown.Uri()});
  return made;
}

void TestCredentials::Impersonate(const state::Identity& asked, const state::Identity& given) {
  std::lock_guard lock(mutex_);
  impersonated_[asked] = given;
}

tls::CrlSetPtr TestCredentials::Revoke(const std::vector<state::Identity>& identities) {
  std::vector<std::string> certificates;
  for (const auto& identity : identities) certificates.push_back((*Find(identity))->chain_pem());
  return *tls::CrlSet::Parse(ca_.Crl(certificates));
}

void TwoNodes::SetUp() {
  config_a_.node_name = "node-a";
  config_b_.node_name = "node-b";
  auto service = std::make_shared<state::Service>();
  service->name = "web";
  service->ns = "default";
  service->hostname = "web.default.svc.cluster.local";
  service->vips = {{"", net::IpAddress::Parse("10.96.0.9").value()}};
  service->ports = {{80, 8080}};
  mesh_.Upsert(state::ServicePtr(service));
  Announce(WorkloadOf("client", "node-a", client_));
  auto server = WorkloadOf("server", "node-b", server_);
  server.services = {{service->Key(), {{80, 8080}}}};
  Announce(std::move(server));
  StartPods();
}

state::Workload TwoNodes::WorkloadOf(const std::string& name, const std::string& node,
                                     const PodNetwork::Pod& pod) const {
  state::Workload workload;
  workload.uid = "Kubernetes//Pod/default/" + name;
  workload.name = name;
  workload.ns = "default";
  workload.service_account = name;
  workload.node = node;
  workload.workload_name = name;
  workload.canonical_name = name;
  workload.addresses = {pod.ipv4, pod.ipv6};
  workload.tunnel_protocol = state::TunnelProtocol::kHbone;
  return workload;
}

void TwoNodes::Announce(state::Workload workload) {
  mesh_.Upsert(std::make_shared<const state::Workload>(std::move(workload)));
  mesh_.Commit();
}

void TwoNodes::DenyPort(uint16_t port) {
  auto policy = std::make_shared<state::Policy>();
  policy->resource_name = "default/no-entry";
  policy->name = "no-entry";
  policy->ns = "default";
  policy->action = state::PolicyAction::kDeny;
  state::PolicyMatch match;
  match.destination_ports = {port};
  policy->rules = {{{match}}};
  mesh_.Upsert(state::PolicyPtr(policy));
  mesh_.Commit();
}

std::unique_ptr<PodProxies> TwoNodes::MakeNode(const config::Config& config,
                                               const tls::PeerRules* peer_rules) {
  auto made = PodProxies::Create({.config = config,
                                  .mesh = mesh_,
                                  .credentials = credentials_,
                                  .traffic = traffic_,
                                  .peer_rules = peer_rules,
                                  .resolver = resolver_,
                                  .resolutions = &resolutions_});
  EXPECT_TRUE(made);
  return std::move(*made);
}

void TwoNodes::StartPods() {
  node_a_ = MakeNode(config_a_, peer_rules_a_);
  node_b_ = MakeNode(config_b_, peer_rules_b_);
  auto started = node_a_->Start(InfoOf("client"), client_.netns.Duplicate().value());
  ASSERT_TRUE(started) << started.error().message();
  started = node_b_->Start(InfoOf("server"), server_.netns.Duplicate().value());
  ASSERT_TRUE(started) << started.error().message();
}

}  // namespace ambit::proxy::testing
