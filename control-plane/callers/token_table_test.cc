#include "control-plane/callers/token_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::callers {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TokenTable, ATokenNamesItsNode) {
  auto table = TokenTable::Parse("# nodes\n\n0123456789abcdef,n1\r\n fedcba9876543210 , n2 ");
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_EQ(table->size(), 2u);
  EXPECT_EQ(table->NodeOf("0123456789abcdef"), "n1");
  EXPECT_EQ(table->NodeOf("fedcba9876543210"), "n2");
  EXPECT_EQ(table->NodeOf("fedcba9876543211"), std::nullopt);
  EXPECT_EQ(table->NodeOf(""), std::nullopt);
}

TEST(TokenTable, BadLinesAreNamedByNumberWithoutTheSecret) {
  for (const char* text : {"0123456789abcdef,n1\nsecretsecretsecret", "\nsecretsecretsecret,",
                           "\n,n1", "\nsecretsecretsecret,n1,n2", "\nshort,n1"}) {
    auto table = TokenTable::Parse(text);
    ASSERT_FALSE(table) << text;
    EXPECT_THAT(table.error().message(), HasSubstr("line 2"));
    EXPECT_THAT(table.error().message(), Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace ambit::callers
