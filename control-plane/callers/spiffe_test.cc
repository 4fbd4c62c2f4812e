#include "control-plane/callers/spiffe.h"

#include <gtest/gtest.h>

namespace ambit::callers {
namespace {

TEST(Spiffe, AWorkloadNameHasDomainNamespaceAndAccount) {
  auto name = ParseWorkloadName("spiffe://cluster.local/ns/shop/sa/seller");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->trust_domain, "cluster.local");
  EXPECT_EQ(name->namespace_name, "shop");
  EXPECT_EQ(name->service_account, "seller");
}

TEST(Spiffe, OtherFormsAreRefused) {
  for (const char* uri :
       {"", "spiffe://", "spiffe://td", "https://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b/",
        "spiffe://td/ns/a/sa/", "spiffe://td/ns//sa/b", "spiffe://td/ns/a/sa/b/c",
        "spiffe://td/ns/../sa/b", "spiffe://td/ns/A/sa/b", "spiffe://td/ns/a/sa/b\n",
        "spiffe://td/ns/a%2f/sa/b", "spiffe:///ns/a/sa/b", "spiffe://td/node/n1"}) {
    EXPECT_FALSE(ParseWorkloadName(uri)) << uri;
  }
}

TEST(Spiffe, ANodeNameIsOfItsTrustDomainOnly) {
  EXPECT_EQ(NodeUri("td", "n1"), "spiffe://td/node/n1");
  EXPECT_EQ(NodeOfUri("td", "spiffe://td/node/n1").value_or(""), "n1");
  EXPECT_FALSE(NodeOfUri("td", "spiffe://other/node/n1"));
  EXPECT_FALSE(NodeOfUri("td", "spiffe://td/node/"));
  EXPECT_FALSE(NodeOfUri("td", "spiffe://td/ns/node/sa/n1"));
}

}  // namespace
}  // namespace ambit::callers
