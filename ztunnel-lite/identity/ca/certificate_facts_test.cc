#include "ztunnel-lite/identity/ca/certificate_facts.h"

#include <gtest/gtest.h>

#include "ztunnel-lite/identity/ca/test_ca.h"

namespace ambit::identity {
namespace {

TEST(CertificateFacts, DescribesEveryCertificateInOrder) {
  TestCa ca;
  std::string leaf = ca.IssueServer("DNS:a").chain_pem;
  auto facts = DescribeCertificates(leaf + ca.root_pem());
  ASSERT_EQ(facts.size(), 2u);
  EXPECT_EQ(facts[0].pem, leaf);
  EXPECT_EQ(facts[1].pem, ca.root_pem());
  EXPECT_EQ(std::to_string(std::stoull(facts[0].serial)), facts[0].serial);
  EXPECT_LT(facts[0].not_before, facts[0].not_after);
}

TEST(CertificateFacts, IsEmptyForAnyOtherText) {
  EXPECT_TRUE(DescribeCertificates("").empty());
  EXPECT_TRUE(DescribeCertificates("hello").empty());
}

}  // namespace
}  // namespace ambit::identity
