#include "control-plane/callers/kept_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "control-plane/callers/folder_for_test.h"

namespace ambit::callers {
namespace {

TEST(KeptFile, WhatIsKeptIsReadAgainWithItsMode) {
  TemporaryFolder folder;
  ASSERT_TRUE(KeepFile(folder / "a", "one", 0600));
  ASSERT_TRUE(KeepFile(folder / "a", "two", 0600));
  EXPECT_EQ(ReadSecretFile(folder / "a").value_or(""), "two");
  struct stat status{};
  ASSERT_EQ(stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(ReadPublicFile(folder / "a.tmp").error().code(), ErrorCode::kNotFound);
}

TEST(KeptFile, ASecretThatOthersCanReadIsRefused) {
  TemporaryFolder folder;
  ASSERT_TRUE(KeepFile(folder / "a", "one", 0640));
  EXPECT_EQ(ReadSecretFile(folder / "a").error().code(), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(ReadPublicFile(folder / "a"));
}

TEST(KeptFile, FoldersPipesAndLargeFilesAreRefused) {
  TemporaryFolder folder;
  EXPECT_FALSE(ReadPublicFile(folder / "."));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadPublicFile(folder / "pipe").error().code(), ErrorCode::kInvalidArgument);
  folder.Write("large", std::string((1u << 20) + 1, 'x'));
  EXPECT_EQ(ReadPublicFile(folder / "large").error().code(), ErrorCode::kInvalidArgument);
}

TEST(KeptFile, AFolderThatIsMissingIsAnError) {
  TemporaryFolder folder;
  EXPECT_EQ(KeepFile(folder / "no/a", "x", 0600).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ambit::callers
