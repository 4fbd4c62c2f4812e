#include "ztunnel-lite/tls/peer_rules.h"

#include <gtest/gtest.h>

namespace ambit::tls {
namespace {

TEST(PeerRules, ListedTrustDomainsAreOneAndOthersAreForThemselves) {
  PeerRules rules{{"new.td", "old.td"}, nullptr};
  EXPECT_TRUE(rules.SameTrustDomain("new.td", "old.td"));
  EXPECT_TRUE(rules.SameTrustDomain("other", "other"));
  EXPECT_FALSE(rules.SameTrustDomain("new.td", "other"));
  EXPECT_FALSE(PeerRules().SameTrustDomain("new.td", "old.td"));
  EXPECT_EQ(rules.AliasesOf("old.td").size(), 2u);
  EXPECT_TRUE(rules.AliasesOf("other").empty());
}

}  // namespace
}  // namespace ambit::tls
