#include "ztunnel-lite/files/watched_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace ambit::files {
namespace {

namespace fs = std::filesystem;

class WatchedFileTest : public testing::Test {
 protected:
  WatchedFileTest() {
    std::string pattern = fs::temp_directory_path() / "ambit-file-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~WatchedFileTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  Result<std::string> Start(const fs::path& path) {
    file_ = std::make_unique<WatchedFile>(
        io_, WatchedFile::Options{path, std::chrono::milliseconds(1), 1000},
        [this](const Result<std::string>& content) {
          told_.push_back(content ? *content : "<" + content.error().message() + ">");
        });
    return file_->Start();
  }
  // What was told last, after `count` changes at the latest.
  std::string Told(size_t count) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (told_.size() < count && std::chrono::steady_clock::now() < deadline) {
      io_.run_one_until(deadline);
    }
    return told_.size() < count ? "<nothing>" : told_[count - 1];
  }

  fs::path folder_;
  boost::asio::io_context io_{1};
  std::vector<std::string> told_;
  std::unique_ptr<WatchedFile> file_;
};

TEST_F(WatchedFileTest, TellsWhatAWriterLeftBehindButNotTheSameAgain) {
  Write("f", "one");
  EXPECT_EQ(Start(folder_ / "f").value(), "one");
  Write("other", "x");
  Write("f", "one");
  Write("f", "two");
  EXPECT_EQ(Told(1), "two");
}

TEST_F(WatchedFileTest, AFileThatIsMissingIsFoundWhenItComesAndMissedWhenItGoes) {
  auto first = Start(folder_ / "f");
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().code(), ErrorCode::kNotFound);
  Write("f", "here");
  EXPECT_EQ(Told(1), "here");
  fs::remove(folder_ / "f");
  EXPECT_NE(Told(2).find("No such file"), std::string::npos) << Told(2);
}

TEST_F(WatchedFileTest, AFileThatIsMovedIntoPlaceIsTold) {
  Write("f", "one");
  ASSERT_TRUE(Start(folder_ / "f").has_value());
  Write("new", "two");
  fs::rename(folder_ / "new", folder_ / "f");
  EXPECT_EQ(Told(1), "two");
}

TEST_F(WatchedFileTest, ALinkSwappedAsConfigMapsAreIsTold) {
  fs::create_directories(folder_ / "..v1");
  fs::create_directories(folder_ / "..v2");
  Write("..v1/f", "one");
  Write("..v2/f", "two");
  fs::create_symlink("..v1", folder_ / "..data");
  fs::create_symlink("..data/f", folder_ / "f");
  EXPECT_EQ(Start(folder_ / "f").value(), "one");
  fs::create_symlink("..v2", folder_ / "..data_tmp");
  fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  EXPECT_EQ(Told(1), "two");
}

TEST_F(WatchedFileTest, AFolderThatComesLaterIsFound) {
  EXPECT_FALSE(Start(folder_ / "sub" / "f").has_value());
  fs::create_directory(folder_ / "sub");
  Write("sub/f", "late");
  EXPECT_EQ(Told(1), "late");
  Write("sub/f", "later");
  EXPECT_EQ(Told(2), "later");
}

TEST_F(WatchedFileTest, AFileAboveItsLimitIsRefused) {
  Write("f", std::string(1001, 'x'));
  auto content = Start(folder_ / "f");
  ASSERT_FALSE(content.has_value());
  EXPECT_EQ(content.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(WatchedFileTest, AFolderIsNoFile) {
  EXPECT_EQ(Start(folder_).error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ambit::files
