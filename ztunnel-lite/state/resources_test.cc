#include "ztunnel-lite/state/resources.h"

#include <gtest/gtest.h>

namespace ambit::state {
namespace {

TEST(Identity, ParsesAndPrintsTheSameUri) {
  auto identity = Identity::Parse("spiffe://cluster.local/ns/default/sa/client");
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(*identity, (Identity{"cluster.local", "default", "client"}));
  EXPECT_EQ(identity->Uri(), "spiffe://cluster.local/ns/default/sa/client");
}

TEST(Identity, RefusesEveryOtherForm) {
  for (const char* bad : {"", "spiffe://", "spiffe://td", "http://td/ns/a/sa/b",
                          "spiffe://td/ns/a/sa", "spiffe://td/ns/a/sa/b/c", "spiffe://td/sa/a/ns/b",
                          "spiffe://td/ns/a/sa/", "spiffe:///ns/a/sa/b", "spiffe://td/ns//sa/b",
                          "SPIFFE://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b/"}) {
    EXPECT_FALSE(Identity::Parse(bad).has_value()) << bad;
  }
}

TEST(StringMatch, ComparesBytesByKind) {
  using Kind = StringMatch::Kind;
  EXPECT_TRUE((StringMatch{Kind::kExact, "ab"}).Matches("ab"));
  EXPECT_FALSE((StringMatch{Kind::kExact, "ab"}).Matches("AB"));
  EXPECT_TRUE((StringMatch{Kind::kPrefix, "a"}).Matches("ab"));
  EXPECT_FALSE((StringMatch{Kind::kPrefix, "b"}).Matches("ab"));
  EXPECT_TRUE((StringMatch{Kind::kSuffix, "b"}).Matches("ab"));
  EXPECT_FALSE((StringMatch{Kind::kSuffix, "a"}).Matches("ab"));
  EXPECT_TRUE((StringMatch{Kind::kPresence, ""}).Matches("x"));
  EXPECT_FALSE((StringMatch{Kind::kPresence, ""}).Matches(""));
}

}  // namespace
}  // namespace ambit::state
