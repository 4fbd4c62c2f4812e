#include "ztunnel-lite/identity/ca/ca_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "proto/certificate.grpc.pb.h"
#include "ztunnel-lite/identity/ca/test_ca.h"

namespace ambit::identity {
namespace {

using testing::HasSubstr;

const state::Identity kIdentity{"cluster.local", "default", "client"};

// A CA over gRPC in the test's own process.
class CaService : public istio::v1::auth::IstioCertificateService::Service {
 public:
  explicit CaService(const TestCa& ca) : ca_(ca) {}

  grpc::Status CreateCertificate(grpc::ServerContext* context,
                                 const istio::v1::auth::IstioCertificateRequest* request,
                                 istio::v1::auth::IstioCertificateResponse* response) override {
    auto header = context->client_metadata().find("authorization");
    if (header == context->client_metadata().end() || header->second != "Bearer secret") {
      return {grpc::StatusCode::UNAUTHENTICATED, "who are you?"};
    }
    impersonated = request->metadata().fields().at("ImpersonatedIdentity").string_value();
    validity = request->validity_duration();
    response->add_cert_chain(ca_.Sign(request->csr(), std::chrono::hours(1), answer_uri));
    if (with_roots) response->add_cert_chain(ca_.root_pem());
    return grpc::Status::OK;
  }

  std::string impersonated;
  int64_t validity = 0;
  std::string answer_uri;
  bool with_roots = true;

 private:
  const TestCa& ca_;
};

class CaClientTest : public testing::Test {
 protected:
  CaClientTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "ambit-ca-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    Serve("IP:127.0.0.1");
    config_.ca_root_ca = folder_ / "root.pem";
    config_.auth_token_literal = "secret";
    std::ofstream(config_.ca_root_ca) << ca_.root_pem();
  }
  ~CaClientTest() override { std::filesystem::remove_all(folder_); }

  // In place of a server that was there before.
  void Serve(const std::string& names) {
    grpc::SslServerCredentialsOptions options;
    auto issued = ca_.IssueServer(names);
    options.pem_key_cert_pairs.push_back({issued.key_pem, issued.chain_pem});
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    config_.ca_address = "https://127.0.0.1:" + std::to_string(port);
  }

  Result<tls::CredentialPtr> Sign(CaClient& client) {
    std::optional<Result<tls::CredentialPtr>> outcome;
    client.Sign(kIdentity, [&](Result<tls::CredentialPtr> result) { outcome = std::move(result); });
    EXPECT_FALSE(outcome.has_value());
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    while (!outcome && std::chrono::steady_clock::now() < end) {
      control_.restart();
      control_.run_one_for(std::chrono::milliseconds(50));
    }
    if (!outcome) return Fail(ErrorCode::kTimedOut, "no answer");
    return *outcome;
  }
  Result<tls::CredentialPtr> Sign() {
    CaClient client(config_, control_);
    return Sign(client);
  }

  TestCa ca_;
  std::filesystem::path folder_;
  CaService service_{ca_};
  std::unique_ptr<grpc::Server> server_;
  config::Config config_;
  boost::asio::io_context control_{1};
};

TEST_F(CaClientTest, GetsACredentialInTheNameOfThePod) {
  config_.secret_ttl = std::chrono::hours(2);
  auto credential = Sign();
  ASSERT_TRUE(credential.has_value()) << credential.error().message();
  EXPECT_EQ((*credential)->identity(), kIdentity);
  EXPECT_EQ((*credential)->roots_pem(), ca_.root_pem());
  EXPECT_EQ(service_.impersonated, kIdentity.Uri());
  EXPECT_EQ(service_.validity, 7200);
}

TEST_F(CaClientTest, ARefusalSaysWhyAndByWhom) {
  config_.auth_token_literal = "wrong";
  auto credential = Sign();
  ASSERT_FALSE(credential.has_value());
  EXPECT_EQ(credential.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_THAT(credential.error().message(), HasSubstr("who are you?"));
  EXPECT_THAT(credential.error().message(), HasSubstr(config_.ca_address));
}

TEST_F(CaClientTest, AnAnswerForAnotherIdentityIsRefused) {
  service_.answer_uri = "spiffe://cluster.local/ns/default/sa/other";
  EXPECT_FALSE(Sign().has_value());
}

TEST_F(CaClientTest, AnAnswerWithoutRootsIsRefused) {
  service_.with_roots = false;
  auto credential = Sign();
  ASSERT_FALSE(credential.has_value());
  EXPECT_EQ(credential.error().code(), ErrorCode::kProtocol);
}

TEST_F(CaClientTest, RootsThatAreMissingAtFirstAreReadWithTheNextRequest) {
  std::filesystem::remove(config_.ca_root_ca);
  CaClient client(config_, control_);
  auto credential = Sign(client);
  ASSERT_FALSE(credential.has_value());
  EXPECT_THAT(credential.error().message(), HasSubstr("root certificates"));
  std::ofstream(config_.ca_root_ca) << ca_.root_pem();
  EXPECT_TRUE(Sign(client).has_value());
}

TEST_F(CaClientTest, ACaThatIsAwayIsUnavailable) {
  server_->Shutdown();
  auto credential = Sign();
  ASSERT_FALSE(credential.has_value());
  EXPECT_EQ(credential.error().code(), ErrorCode::kUnavailable);
}

TEST_F(CaClientTest, TheAlternativeNameIsAcceptedByEachOfSeveralCallsAtOnce) {
  Serve("DNS:other.example");
  config_.alt_ca_hostname = "other.example";
  CaClient client(config_, control_);
  std::vector<Result<tls::CredentialPtr>> outcomes;
  for (int i = 0; i < 4; ++i) {
    client.Sign(kIdentity, [&](Result<tls::CredentialPtr> r) { outcomes.push_back(std::move(r)); });
  }
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (outcomes.size() < 4 && std::chrono::steady_clock::now() < end) {
    control_.restart();
    control_.run_one_for(std::chrono::milliseconds(50));
  }
  ASSERT_EQ(outcomes.size(), 4u);
  for (const auto& outcome : outcomes) EXPECT_TRUE(outcome.has_value());
}

TEST_F(CaClientTest, ACaThatProvesNeitherNameIsRefused) {
  Serve("DNS:stranger.example");
  config_.alt_ca_hostname = "other.example";
  auto credential = Sign();
  ASSERT_FALSE(credential.has_value());
  EXPECT_EQ(credential.error().code(), ErrorCode::kUnavailable);
}

TEST_F(CaClientTest, CanBeDestroyedWhileACallIsUnderWay) {
  bool called = false;
  {
    CaClient client(config_, control_);
    client.Sign(kIdentity, [&](const Result<tls::CredentialPtr>&) { called = true; });
  }
  control_.restart();
  control_.poll();
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace ambit::identity
