#include "ztunnel-lite/telemetry/error_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::telemetry {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class ErrorSummaryTest : public testing::Test {
 protected:
  void Count(const std::string& destination, int times) {
    for (int i = 0; i < times; ++i) {
      summary_.Count("CONNECT", destination, Error(ErrorCode::kTimedOut, "late"));
    }
  }
  std::string Write() {
    const size_t before = log_.text().size();
    summary_.Write(log_, seconds(60));
    return log_.text().substr(before);
  }

  observe::MemoryLog log_;
  ErrorSummary summary_;
};

TEST_F(ErrorSummaryTest, WithoutFailuresThereIsNoLine) { EXPECT_EQ(Write(), ""); }

TEST_F(ErrorSummaryTest, NamesTheFiveMostFrequentInTheirOrder) {
  for (int i = 1; i <= 7; ++i) Count("d" + std::to_string(i), i);
  auto line = Write();
  EXPECT_THAT(line, HasSubstr("failures=28 kinds=7 1=\"7 x CONNECT to d7: late\" 2=\"6 x "));
  EXPECT_THAT(line, HasSubstr("5=\"3 x CONNECT to d3: late\"\n"));
  EXPECT_THAT(line, Not(HasSubstr("d2")));
}

TEST_F(ErrorSummaryTest, EachIntervalBeginsAnew) {
  Count("a", 3);
  Write();
  EXPECT_EQ(Write(), "");
  Count("b", 1);
  EXPECT_THAT(Write(), Not(HasSubstr("to a")));
}

TEST_F(ErrorSummaryTest, DifferentCausesAreApart) {
  summary_.Count("CONNECT", "a", Error(ErrorCode::kTimedOut, "late"));
  summary_.Count("CONNECT", "a", Error(ErrorCode::kUnavailable, "refused"));
  summary_.Count("DENY", "a", Error(ErrorCode::kTimedOut, "late"));
  EXPECT_THAT(Write(), HasSubstr("failures=3 kinds=3"));
}

TEST_F(ErrorSummaryTest, AScanOfManyAddressesIsCountedTogether) {
  for (size_t i = 0; i < 2 * ErrorSummary::kMaxKinds; ++i) Count(std::to_string(i), 1);
  auto line = Write();
  EXPECT_THAT(line, HasSubstr("failures=2048 kinds=1025"));
  EXPECT_THAT(line, HasSubstr("1=\"1024 x CONNECT to other destinations: late\""));
}

}  // namespace
}  // namespace ambit::telemetry
