#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "control-plane/app_for_test.h"
#include "proto/workload.pb.h"

namespace ambit::control {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kAddress[] = "type.googleapis.com/istio.workload.Address";
constexpr char kAuthorization[] = "type.googleapis.com/istio.security.Authorization";

// A delta client as a tunnel is one: it keeps what it got and answers every response.
class DeltaClient {
 public:
  explicit DeltaClient(const std::shared_ptr<grpc::Channel>& channel,
                       const std::string& token = kTokenOfNode1)
      : stub_(AggregatedDiscoveryService::NewStub(channel)) {
    Prepare(context_, token);
    stream_ = stub_->DeltaAggregatedResources(&context_);
  }
  ~DeltaClient() {
    context_.TryCancel();
    Finish();
  }

  void Subscribe(const std::string& type, const std::map<std::string, std::string>& have = {}) {
    DeltaDiscoveryRequest request;
    request.set_type_url(type);
    request.mutable_initial_resource_versions()->insert(have.begin(), have.end());
    stream_->Write(request);
  }
  // The next response; rejected with `error` if there is one, else acknowledged.
  std::vector<std::string> Next(const std::string& error = "") {
    DeltaDiscoveryResponse response;
    if (!stream_->Read(&response)) return {"stream ended"};
    std::vector<std::string> lines;
    for (const auto& resource : response.resources()) {
      versions[resource.name()] = resource.version();
      istio::workload::Address address;
      resource.resource().UnpackTo(&address);
      last = address;
      lines.push_back(resource.name());
    }
    for (const auto& name : response.removed_resources()) lines.push_back("-" + name);
    last_type = response.type_url();
    DeltaDiscoveryRequest answer;
    answer.set_type_url(response.type_url());
    answer.set_response_nonce(response.nonce());
    if (!error.empty()) answer.mutable_error_detail()->set_message(error);
    stream_->Write(answer);
    return lines;
  }
  grpc::Status Finish() {
    if (finished_) return grpc::Status::OK;
    finished_ = true;
    DeltaDiscoveryResponse rest;
    while (stream_->Read(&rest)) {
    }
    return stream_->Finish();
  }

  std::map<std::string, std::string> versions;
  istio::workload::Address last;
  std::string last_type;

 private:
  std::unique_ptr<AggregatedDiscoveryService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<DeltaDiscoveryRequest, DeltaDiscoveryResponse>> stream_;
  bool finished_ = false;
};

std::string PodText(const std::string& name, const std::string& ip,
                    const std::string& label = "ambient") {
  return "kind: Pod\nmetadata: {name: " + name +
         ", namespace: shop, labels: {app: web, istio.io/dataplane-mode: " + label +
         "}}\nspec: {nodeName: n1}\nstatus: {podIP: " + ip + "}\n";
}

constexpr char kServiceText[] =
    "kind: Service\nmetadata: {name: web, namespace: shop}\n"
    "spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n";

TEST(ControlPlaneAds, BothTypesAreAnsweredAtOnceAndInFull) {
  RunningApp app;
  app.Write("a.yaml", PodText("a", "10.0.0.1") + "---\n" + kServiceText);
  app.Start();
  DeltaClient client(app.Channel());
  client.Subscribe(kAddress);
  EXPECT_THAT(client.Next(),
              ElementsAre("Kubernetes//Pod/shop/a", "shop/web.shop.svc.cluster.local"));
  client.Subscribe(kAuthorization);
  EXPECT_THAT(client.Next(), IsEmpty());
  EXPECT_EQ(client.last_type, kAuthorization);
}

TEST(ControlPlaneAds, AChangedManifestReachesEveryClient) {
  RunningApp app;
  app.Write("a.yaml", PodText("a", "10.0.0.1"));
  app.Start();
  auto channel = app.Channel();
  DeltaClient one(channel);
  DeltaClient two(channel, kTokenOfNode2);
  for (DeltaClient* client : {&one, &two}) {
    client->Subscribe(kAddress);
    EXPECT_THAT(client->Next(), ElementsAre("Kubernetes//Pod/shop/a"));
    EXPECT_EQ(client->last.workload().tunnel_protocol(), istio::workload::HBONE);
  }
  app.Write("a.yaml", PodText("a", "10.0.0.1", "none"));
  for (DeltaClient* client : {&one, &two}) {
    EXPECT_THAT(client->Next(), ElementsAre("Kubernetes//Pod/shop/a"));
    EXPECT_EQ(client->last.workload().tunnel_protocol(), istio::workload::NONE);
  }
  app.Write("b.yaml", kServiceText);
  EXPECT_THAT(one.Next(), ElementsAre("Kubernetes//Pod/shop/a", "shop/web.shop.svc.cluster.local"));
  app.Remove("a.yaml");
  EXPECT_THAT(one.Next(), ElementsAre("-Kubernetes//Pod/shop/a"));
}

TEST(ControlPlaneAds, AfterARestartAClientGetsOnlyWhatChanged) {
  RunningApp app;
  app.Write("a.yaml", PodText("a", "10.0.0.1"));
  app.Write("b.yaml", PodText("b", "10.0.0.2"));
  app.Write("c.yaml", PodText("c", "10.0.0.3"));
  app.Start();
  std::map<std::string, std::string> have;
  {
    DeltaClient client(app.Channel());
    client.Subscribe(kAddress);
    client.Next();
    have = client.versions;
    ASSERT_EQ(have.size(), 3u);
  }
  app.Stop();
  app.Write("b.yaml", PodText("b", "10.0.0.9"));
  app.Remove("c.yaml");
  app.Start();
  DeltaClient client(app.Channel());
  client.Subscribe(kAddress, have);
  EXPECT_THAT(client.Next(), ElementsAre("Kubernetes//Pod/shop/b", "-Kubernetes//Pod/shop/c"));
}

TEST(ControlPlaneAds, ARejectionAndAnUnknownTypeAreLoggedAndTheStreamGoesOn) {
  RunningApp app;
  app.Write("a.yaml", PodText("a", "10.0.0.1"));
  app.Start();
  DeltaClient client(app.Channel());
  client.Subscribe("type.googleapis.com/unheard.Of");
  client.Subscribe(kAddress);
  EXPECT_THAT(client.Next("shop/a: port 0"), ElementsAre("Kubernetes//Pod/shop/a"));
  app.Write("a.yaml", PodText("a", "10.0.0.2"));
  EXPECT_THAT(client.Next(), ElementsAre("Kubernetes//Pod/shop/a"));
  EXPECT_THAT(app.log_text(), HasSubstr("the client rejected a response: shop/a: port 0"));
  EXPECT_THAT(app.log_text(), HasSubstr("unheard.Of"));
}

TEST(ControlPlaneAds, ACallerWithoutAValidTokenIsRefused) {
  RunningApp app;
  app.Start();
  auto channel = app.Channel();
  DeltaClient anonymous(channel, "");
  grpc::Status status = anonymous.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("no bearer token"));
  DeltaClient guessing(channel, "another-long-token");
  EXPECT_EQ(guessing.Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(app.log_text(), HasSubstr("a bearer token that is not in the token file"));
}

TEST(ControlPlaneAds, ThePortIsWrittenToThePortFile) {
  RunningApp app;
  app.Start();
  EXPECT_GT(std::stoi(app.Read("port")), 0);
  EXPECT_THAT(app.log_text(), HasSubstr("serving on 127.0.0.1:"));
}

TEST(ControlPlaneAds, ManyClientsAreServedAndEndedByAStop) {
  RunningApp app;
  app.Write("a.yaml", PodText("a", "10.0.0.1"));
  app.Start();
  auto channel = app.Channel();
  std::vector<std::unique_ptr<DeltaClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<DeltaClient>(channel));
    clients.back()->Subscribe(kAddress);
  }
  for (auto& client : clients) EXPECT_THAT(client->Next(), ElementsAre("Kubernetes//Pod/shop/a"));
  app.Stop();
  for (auto& client : clients) EXPECT_FALSE(client->Finish().ok());
}

}  // namespace
}  // namespace ambit::control
