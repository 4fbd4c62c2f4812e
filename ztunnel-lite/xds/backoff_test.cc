#include "ztunnel-lite/xds/backoff.h"

#include <gtest/gtest.h>

namespace ambit::xds {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToTheCapAndStartsAgainAfterAReset) {
  Backoff backoff({milliseconds(20), milliseconds(100), 0});
  for (int expected : {20, 40, 80, 100, 100}) EXPECT_EQ(backoff.Next(), milliseconds(expected));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), milliseconds(20));
}

TEST(Backoff, MovesEachDelayWithinTheJitterAndNeverAboveTheCap) {
  Backoff backoff({milliseconds(1000), milliseconds(1000), 0.2});
  for (int i = 0; i < 100; ++i) {
    auto delay = backoff.Next();
    EXPECT_GE(delay, milliseconds(800));
    EXPECT_LE(delay, milliseconds(1000));
  }
}

}  // namespace
}  // namespace ambit::xds
