#include "control-plane/callers/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/callers/folder_for_test.h"

namespace ambit::callers {
namespace {

using ::testing::HasSubstr;

constexpr char kToken[] = "0123456789abcdef";

TEST(TokenFile, AMissingOrBadFileIsAnErrorAtLoad) {
  TemporaryFolder folder;
  observe::MemoryLog log;
  EXPECT_EQ(TokenFile(folder / "tokens", log).Load().error().code(), ErrorCode::kNotFound);
  folder.Write("tokens", "nonsense");
  EXPECT_THAT(TokenFile(folder / "tokens", log).Load().error().message(),
              HasSubstr("tokens: line 1"));
}

TEST(TokenFile, WithoutAPathNoTokenIsValid) {
  observe::MemoryLog log;
  TokenFile tokens("", log);
  ASSERT_TRUE(tokens.Load());
  EXPECT_EQ(tokens.NodeOf(kToken), std::nullopt);
}

TEST(TokenFile, AChangedFileIsReadAgain) {
  TemporaryFolder folder;
  observe::MemoryLog log;
  folder.Write("tokens", "0123456789abcdef,n1\n");
  TokenFile tokens(folder / "tokens", log);
  ASSERT_TRUE(tokens.Load());
  EXPECT_EQ(tokens.NodeOf(kToken), "n1");
  folder.Write("tokens", "0123456789abcdef,n2\n");
  EXPECT_EQ(tokens.NodeOf(kToken), "n2");
}

TEST(TokenFile, ABadChangeIsLoggedOnceAndTheTokensOfBeforeStay) {
  TemporaryFolder folder;
  observe::MemoryLog log;
  folder.Write("tokens", "0123456789abcdef,n1\n");
  TokenFile tokens(folder / "tokens", log);
  ASSERT_TRUE(tokens.Load());
  folder.Write("tokens", "nonsense");
  EXPECT_EQ(tokens.NodeOf(kToken), "n1");
  std::string once = log.text();
  EXPECT_THAT(once, HasSubstr("the tokens of before stay valid"));
  EXPECT_EQ(tokens.NodeOf(kToken), "n1");
  EXPECT_EQ(log.text(), once);
}

}  // namespace
}  // namespace ambit::callers
