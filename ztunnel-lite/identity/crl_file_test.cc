#include "ztunnel-lite/identity/crl_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ztunnel-lite/tls/test_credentials.h"

namespace ambit::identity {
namespace {

namespace fs = std::filesystem;

class CrlFileTest : public testing::Test {
 protected:
  CrlFileTest() {
    std::string pattern = fs::temp_directory_path() / "ambit-crl-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~CrlFileTest() override { fs::remove_all(folder_); }

  void Write(const std::string& text) { std::ofstream(folder_ / "crl.pem") << text; }
  void Start() {
    file_ = std::make_unique<CrlFile>(CrlFile::Context{folder_ / "crl.pem", revocations_, io_, log_,
                                                       std::chrono::milliseconds(1)},
                                      [this] { ++changes_; });
  }
  template <typename Condition>
  bool Becomes(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io_.run_one_until(deadline);
    }
    return condition();
  }

  tls::TestMeshCa ca_;
  fs::path folder_;
  boost::asio::io_context io_{1};
  observe::MemoryLog log_;
  prometheus::Registry metrics_;
  tls::Revocations revocations_{metrics_};
  int changes_ = 0;
  std::unique_ptr<CrlFile> file_;
};

TEST_F(CrlFileTest, IsReadAtTheStartAndWhenItChanges) {
  Write(ca_.Crl({}));
  Start();
  ASSERT_NE(revocations_.current(), nullptr);
  EXPECT_EQ(changes_, 0);
  Write(ca_.Crl({}) + ca_.Crl({}));
  ASSERT_TRUE(Becomes([&] { return changes_ == 1; }));
  EXPECT_EQ(revocations_.current()->size(), 2u);
}

TEST_F(CrlFileTest, AMissingFileIsToldAndFoundLater) {
  Start();
  EXPECT_EQ(revocations_.current(), nullptr);
  EXPECT_NE(log_.text().find("No such file"), std::string::npos) << log_.text();
  Write(ca_.Crl({}));
  ASSERT_TRUE(Becomes([&] { return changes_ == 1; }));
  EXPECT_NE(revocations_.current(), nullptr);
}

TEST_F(CrlFileTest, ABrokenFileLeavesWhatHeldAndAMendedOneIsTaken) {
  Write("nonsense");
  Start();
  EXPECT_EQ(revocations_.current(), nullptr);
  Write(ca_.Crl({}));
  ASSERT_TRUE(Becomes([&] { return changes_ == 1; }));
  auto before = revocations_.current();
  Write("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
  ASSERT_TRUE(Becomes([&] { return log_.text().find("does not parse") != std::string::npos; }));
  EXPECT_EQ(revocations_.current(), before);
  EXPECT_EQ(changes_, 1);
}

}  // namespace
}  // namespace ambit::identity
