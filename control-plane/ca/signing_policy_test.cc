#include "control-plane/ca/signing_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::ca {
namespace {

using ::testing::HasSubstr;

constexpr char kSeller[] = "spiffe://cluster.local/ns/shop/sa/seller";

class SigningPolicyTest : public ::testing::Test {
 protected:
  SigningPolicyTest() {
    k8s::Pod pod;
    pod.namespace_name = "shop";
    pod.name = "web";
    pod.service_account = "seller";
    pod.node_name = "n1";
    accounts_.Put(pod);
  }
  Result<std::string> Ask(const std::string& node, const std::string& impersonated,
                          const std::vector<std::string>& uris) {
    return NameToSign({node, impersonated, uris}, "cluster.local", accounts_);
  }
  void ExpectRefusal(const Result<std::string>& answer, ErrorCode code, const char* why) {
    ASSERT_FALSE(answer) << *answer;
    EXPECT_EQ(answer.error().code(), code);
    EXPECT_THAT(answer.error().message(), HasSubstr(why));
  }
  index::NodeAccounts accounts_;
};

TEST_F(SigningPolicyTest, ANodeMayHaveWhatItsPodsAre) {
  EXPECT_EQ(Ask("n1", kSeller, {kSeller}).value_or(""), kSeller);
  EXPECT_EQ(Ask("n1", kSeller, {}).value_or(""), kSeller);
  EXPECT_EQ(Ask("n1", "", {kSeller}).value_or(""), kSeller);
}

TEST_F(SigningPolicyTest, ANodeMayHaveItsOwnNameButNoOther) {
  EXPECT_TRUE(Ask("n1", "", {"spiffe://cluster.local/node/n1"}));
  ExpectRefusal(Ask("n1", "", {"spiffe://cluster.local/node/n2"}), ErrorCode::kInvalidArgument,
                "is not of the form");
}

TEST_F(SigningPolicyTest, AnotherNodesPodsAreRefused) {
  ExpectRefusal(Ask("n2", kSeller, {kSeller}), ErrorCode::kPermissionDenied,
                "no pod of spiffe://cluster.local/ns/shop/sa/seller runs on node n2");
}

TEST_F(SigningPolicyTest, AnotherTrustDomainIsRefused) {
  ExpectRefusal(Ask("n1", "spiffe://other/ns/shop/sa/seller", {}), ErrorCode::kPermissionDenied,
                "outside of trust domain");
}

TEST_F(SigningPolicyTest, UnclearQuestionsAreRefused) {
  ExpectRefusal(Ask("n1", "", {}), ErrorCode::kInvalidArgument, "neither");
  ExpectRefusal(Ask("n1", "", {kSeller, kSeller}), ErrorCode::kInvalidArgument, "several");
  ExpectRefusal(Ask("n1", kSeller, {"spiffe://cluster.local/ns/shop/sa/other"}),
                ErrorCode::kInvalidArgument, "another identity");
}

}  // namespace
}  // namespace ambit::ca
