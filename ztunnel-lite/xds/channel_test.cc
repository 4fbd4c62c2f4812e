#include "ztunnel-lite/xds/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ambit::xds {
namespace {

using testing::HasSubstr;

class ChannelFiles : public testing::Test {
 protected:
  ChannelFiles() {
    std::string pattern = std::filesystem::temp_directory_path() / "ambit-channel-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~ChannelFiles() override { std::filesystem::remove_all(folder_); }
  std::string Write(const std::string& name, const std::string& text) {
    std::string path = folder_ / name;
    std::ofstream(path) << text;
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(ChannelFiles, ATokenIsTrimmedAndReadAnew) {
  ChannelOptions options;
  options.token_path = Write("token", "one\n");
  EXPECT_EQ(ReadToken(options).value(), "one");
  Write("token", " two \n");
  EXPECT_EQ(ReadToken(options).value(), "two");
}

TEST_F(ChannelFiles, AnEmptyOrMissingTokenFileIsAnErrorWithItsName) {
  ChannelOptions options;
  options.token_path = Write("token", "\n");
  EXPECT_THAT(ReadToken(options).error().message(), HasSubstr("token is empty"));
  options.token_path = folder_ / "missing";
  EXPECT_EQ(ReadToken(options).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ReadToken(ChannelOptions()).value(), "");
}

TEST_F(ChannelFiles, RootsComeFromTextOrFileAndAreNeverEmpty) {
  EXPECT_TRUE(ReadRoots("-----BEGIN CERTIFICATE-----\n...").has_value());
  EXPECT_EQ(ReadRoots(Write("root", "-----BEGIN CERTIFICATE-----")).value(),
            "-----BEGIN CERTIFICATE-----");
  EXPECT_EQ(ReadRoots(folder_ / "missing").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ReadRoots(Write("empty", "")).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(ChannelFiles, WithoutRootsThereIsNoChannel) {
  ChannelOptions options;
  options.address = "https://localhost:1";
  options.root_ca = folder_ / "missing";
  EXPECT_FALSE(MakeChannel(options, ServerName::kFromAddress).has_value());
}

}  // namespace
}  // namespace ambit::xds
