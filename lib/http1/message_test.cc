#include "lib/http1/message.h"

#include <gtest/gtest.h>

namespace ambit::http1 {
namespace {

Request WithTarget(std::string target) {
  Request request;
  request.target = std::move(target);
  return request;
}

TEST(Request, PathEndsAtTheQuestionMark) {
  EXPECT_EQ(WithTarget("/logging?level=debug").path(), "/logging");
  EXPECT_EQ(WithTarget("/logging").path(), "/logging");
}

TEST(Request, QueryValuesArePercentDecoded) {
  Request request = WithTarget("/x?level=a%3Ab%2c+c&reset&empty=&bad=%zz%4");
  EXPECT_EQ(request.Query("level"), "a:b, c");
  EXPECT_EQ(request.Query("reset"), "");
  EXPECT_EQ(request.Query("bad"), "%zz%4");
  EXPECT_TRUE(request.HasQuery("reset"));
  EXPECT_TRUE(request.HasQuery("empty"));
}

TEST(Request, AnAbsentKeyIsTheEmptyText) {
  EXPECT_EQ(WithTarget("/x?a=1").Query("b"), "");
  EXPECT_FALSE(WithTarget("/x?a=1").HasQuery("b"));
  EXPECT_FALSE(WithTarget("/x").HasQuery(""));
}

TEST(Request, TheFirstOfEqualKeysWins) { EXPECT_EQ(WithTarget("/?a=1&a=2").Query("a"), "1"); }

}  // namespace
}  // namespace ambit::http1
