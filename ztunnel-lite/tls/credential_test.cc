#include "ztunnel-lite/tls/credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/tls/test_credentials.h"

namespace ambit::tls {
namespace {

using ::testing::HasSubstr;

const state::Identity kWeb{"cluster.local", "default", "web"};

TEST(CredentialTest, AGoodLeafGivesIdentityAndTimes) {
  TestMeshCa ca;
  const auto issued = ca.Issue({.uri = kWeb.Uri()});
  auto made = Credential::Make(issued.key_pem, issued.chain_pem, ca.root_pem(), kWeb);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ((*made)->identity(), kWeb);
  const auto now = std::chrono::system_clock::now();
  EXPECT_LT((*made)->not_before(), now);
  EXPECT_GT((*made)->not_after(), now + std::chrono::minutes(50));
  EXPECT_LT((*made)->not_after(), now + std::chrono::minutes(61));
}

TEST(CredentialTest, AKeyOfAnotherLeafIsRefused) {
  TestMeshCa ca;
  const auto issued = ca.Issue({.uri = kWeb.Uri()});
  const auto other = ca.Issue({.uri = kWeb.Uri()});
  auto made = Credential::Make(other.key_pem, issued.chain_pem, ca.root_pem(), kWeb);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(made.error().message(), HasSubstr("does not belong"));
}

TEST(CredentialTest, AnotherIdentityThanAskedForIsRefused) {
  TestMeshCa ca;
  const auto issued = ca.Issue({.uri = "spiffe://cluster.local/ns/default/sa/db"});
  auto made = Credential::Make(issued.key_pem, issued.chain_pem, ca.root_pem(), kWeb);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), HasSubstr("sa/db"));
  EXPECT_THAT(made.error().message(), HasSubstr("sa/web"));
}

TEST(CredentialTest, TextThatIsNoPemIsRefusedByPart) {
  TestMeshCa ca;
  const auto issued = ca.Issue({.uri = kWeb.Uri()});
  const std::string junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_FALSE(Credential::Make("junk", issued.chain_pem, ca.root_pem(), kWeb));
  EXPECT_FALSE(Credential::Make(issued.key_pem, junk, ca.root_pem(), kWeb));
  EXPECT_FALSE(Credential::Make(issued.key_pem, issued.chain_pem, "", kWeb));
  EXPECT_FALSE(Credential::Make(issued.key_pem, issued.chain_pem, ca.root_pem() + junk, kWeb));
}

}  // namespace
}  // namespace ambit::tls
