#include "lib/base/environment.h"

#include <gtest/gtest.h>

namespace ambit {
namespace {

using std::chrono::milliseconds;

TEST(Environment, BooleansAreExactlyTrueOrFalse) {
  Environment env({{"A", "true"}, {"B", "TRUE"}});
  EXPECT_TRUE(env.Bool("A", false).value());
  EXPECT_TRUE(env.Bool("MISSING", true).value());
  auto bad = env.Bool("B", false);
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().message(), "environment variable B=\"TRUE\": accepted are true and false");
}

TEST(Environment, DurationsTakeUnitsSumsAndBareSeconds) {
  Environment env({{"A", "5s"}, {"B", "1m30s"}, {"C", "2h"}, {"D", "7"}, {"E", "250ms"}});
  EXPECT_EQ(env.Duration("A", {}).value(), milliseconds(5000));
  EXPECT_EQ(env.Duration("B", {}).value(), milliseconds(90'000));
  EXPECT_EQ(env.Duration("C", {}).value(), milliseconds(7'200'000));
  EXPECT_EQ(env.Duration("D", {}).value(), milliseconds(7000));
  EXPECT_EQ(env.Duration("E", {}).value(), milliseconds(250));
}

TEST(Environment, MalformedDurationsAreErrors) {
  for (const char* bad : {"", "s", "5x", "-1s", "1m30", "5s ", "99999999999999999999h"}) {
    Environment env({{"A", bad}});
    EXPECT_FALSE(env.Duration("A", milliseconds(1)).has_value()) << bad;
  }
}

TEST(Environment, IntegersKeepTheirRange) {
  Environment env({{"A", "65536"}, {"B", "12"}, {"C", "12x"}});
  EXPECT_EQ(env.Integer("B", 0, 0, 65535).value(), 12);
  EXPECT_FALSE(env.Integer("A", 0, 0, 65535).has_value());
  EXPECT_FALSE(env.Integer("C", 0, 0, 65535).has_value());
}

}  // namespace
}  // namespace ambit
