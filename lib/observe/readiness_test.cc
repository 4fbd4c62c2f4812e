#include "lib/observe/readiness.h"

#include <gtest/gtest.h>

namespace ambit::observe {
namespace {

TEST(Readiness, ListsWhatIsPendingInOrderAndMayGoBack) {
  Readiness readiness;
  readiness.MarkPending("proxy");
  readiness.MarkPending("dns proxy");
  EXPECT_EQ(readiness.Pending(), (std::vector<std::string>{"dns proxy", "proxy"}));
  readiness.MarkReady("proxy");
  readiness.MarkReady("dns proxy");
  EXPECT_TRUE(readiness.Pending().empty());
  readiness.MarkPending("proxy");
  EXPECT_EQ(readiness.Pending().size(), 1u);
}

}  // namespace
}  // namespace ambit::observe
