#include "lib/observe/log_filter.h"

#include <gtest/gtest.h>

namespace ambit::observe {
namespace {

TEST(LogFilter, TheLongestScopeWins) {
  auto filter = LogFilter::Parse("warn,xds=debug,xds::client=off").value();
  EXPECT_FALSE(filter.Enabled(Level::kInfo, "proxy"));
  EXPECT_TRUE(filter.Enabled(Level::kWarn, "proxy"));
  EXPECT_TRUE(filter.Enabled(Level::kDebug, "xds"));
  EXPECT_TRUE(filter.Enabled(Level::kDebug, "xds::server"));
  EXPECT_FALSE(filter.Enabled(Level::kError, "xds::client"));
  EXPECT_FALSE(filter.Enabled(Level::kInfo, "xdsx"));
}

TEST(LogFilter, EmptyMeansInfo) {
  auto filter = LogFilter::Parse("").value();
  EXPECT_TRUE(filter.Enabled(Level::kInfo, "a"));
  EXPECT_FALSE(filter.Enabled(Level::kDebug, "a"));
}

TEST(LogFilter, LevelsAreWrittenInAnyCase) {
  auto filter = LogFilter::Parse("WARN,xds=Debug");
  ASSERT_TRUE(filter.has_value());
  EXPECT_TRUE(filter->Enabled(Level::kDebug, "xds"));
  EXPECT_FALSE(filter->Enabled(Level::kInfo, "app"));
}

TEST(LogFilter, NamesThePartThatDoesNotParse) {
  for (const char* bad : {"loud", "xds=", "=info", "info,,warn", "xds=loud"}) {
    EXPECT_FALSE(LogFilter::Parse(bad).has_value()) << bad;
  }
  EXPECT_NE(LogFilter::Parse("info,xds=loud").error().message().find("\"xds=loud\""),
            std::string::npos);
}

}  // namespace
}  // namespace ambit::observe
