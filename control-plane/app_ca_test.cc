#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/app_for_test.h"
#include "control-plane/ca/request_for_test.h"

namespace ambit::control {
namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;
using ::testing::HasSubstr;

constexpr char kSeller[] = "spiffe://cluster.local/ns/shop/sa/seller";
constexpr char kNode1[] = "spiffe://cluster.local/node/n1";

class ControlPlaneCa : public ::testing::Test {
 protected:
  ControlPlaneCa() : key_(*ca::MakeP256Key()) {
    app_.Write("web.yaml",
               "kind: Pod\nmetadata: {name: web, namespace: shop}\n"
               "spec: {nodeName: n1, serviceAccountName: seller}\nstatus: {podIP: 10.0.0.1}\n");
  }
  void SetUp() override { app_.Start(); }

  IstioCertificateRequest RequestFor(const std::string& uri) {
    IstioCertificateRequest request;
    request.set_csr(ca::RequestPem(key_.get(), key_.get(), {uri}));
    request.set_validity_duration(3600);
    (*request.mutable_metadata()->mutable_fields())["ImpersonatedIdentity"].set_string_value(uri);
    return request;
  }
  grpc::Status Ask(const ClientIdentity& identity, const IstioCertificateRequest& request) {
    auto stub = IstioCertificateService::NewStub(app_.Channel(identity));
    grpc::ClientContext context;
    Prepare(context, identity.token);
    response_.Clear();
    return stub->CreateCertificate(&context, request, &response_);
  }
  ClientIdentity Certified(const std::string& uri) {
    EXPECT_TRUE(Ask({kTokenOfNode1, "", ""}, RequestFor(uri)).ok());
    return {"", *ca::ToPem(key_), response_.cert_chain(0)};
  }

  RunningApp app_;
  ca::PrivateKey key_;
  IstioCertificateResponse response_;
};

TEST_F(ControlPlaneCa, ATokensNodeGetsTheChainOfItsPodsIdentity) {
  grpc::Status status = Ask({kTokenOfNode1, "", ""}, RequestFor(kSeller));
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response_.cert_chain_size(), 2);
  EXPECT_EQ(response_.cert_chain(1), app_.Read("data/root-cert.pem"));
  EXPECT_EQ(ca::Verify(response_.cert_chain(0), response_.cert_chain(1), X509_PURPOSE_SSL_SERVER),
            "ok");
  EXPECT_TRUE(ca::KeyMatches(*ca::ParseCertificate(response_.cert_chain(0)), key_));
}

TEST_F(ControlPlaneCa, AnotherNodeIsRefusedAndTheLogSaysWhy) {
  grpc::Status status = Ask({kTokenOfNode2, "", ""}, RequestFor(kSeller));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("runs on node n2"));
  EXPECT_THAT(app_.log_text(), HasSubstr("certificate refused: no pod of " + std::string(kSeller)));
}

TEST_F(ControlPlaneCa, ACallerThatIsNotKnownIsRefused) {
  EXPECT_EQ(Ask({"", "", ""}, RequestFor(kSeller)).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Ask({"a-token-of-nobody", "", ""}, RequestFor(kSeller)).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ControlPlaneCa, ABadRequestIsRefused) {
  IstioCertificateRequest request = RequestFor(kSeller);
  request.set_csr("nonsense");
  EXPECT_EQ(Ask({kTokenOfNode1, "", ""}, request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_csr(ca::RequestPem(key_.get(), ca::MakeP256Key()->get(), {kSeller}));
  EXPECT_EQ(Ask({kTokenOfNode1, "", ""}, request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_csr(std::string(70000, 'x'));
  EXPECT_EQ(Ask({kTokenOfNode1, "", ""}, request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request = RequestFor(kSeller);
  (*request.mutable_metadata()->mutable_fields())["ImpersonatedIdentity"].set_number_value(1);
  EXPECT_EQ(Ask({kTokenOfNode1, "", ""}, request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ControlPlaneCa, ANodesCertificateMakesItsHolderThatNode) {
  ClientIdentity node = Certified(kNode1);
  grpc::Status status = Ask(node, RequestFor(kSeller));
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ControlPlaneCa, AWorkloadsCertificateMakesItsHolderNoNode) {
  ClientIdentity workload = Certified(kSeller);
  grpc::Status status = Ask(workload, RequestFor(kSeller));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("which names no node"));
}

TEST_F(ControlPlaneCa, ACertificateOfAnotherRootDoesNotGetThrough) {
  auto now = std::chrono::system_clock::now();
  auto other_root = ca::MakeAuthority(*ca::MakeP256Key(), "cluster.local mesh root", now,
                                      now + std::chrono::hours(1));
  auto other_key = ca::MakeP256Key();
  ca::LeafOptions options;
  options.uri_names = {kNode1};
  options.not_before = now - std::chrono::minutes(1);
  options.not_after = now + std::chrono::hours(1);
  auto leaf = ca::SignLeaf({other_root->get(), other_key->get()}, key_.get(), options);
  ASSERT_TRUE(leaf);
  EXPECT_FALSE(Ask({"", *ca::ToPem(key_), *ca::ToPem(*leaf)}, RequestFor(kSeller)).ok());
}

TEST_F(ControlPlaneCa, ARemovedPodTakesTheRightAway) {
  ASSERT_TRUE(Ask({kTokenOfNode1, "", ""}, RequestFor(kSeller)).ok());
  app_.Stop();
  app_.Remove("web.yaml");
  app_.Start();
  EXPECT_EQ(Ask({kTokenOfNode1, "", ""}, RequestFor(kSeller)).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace ambit::control
