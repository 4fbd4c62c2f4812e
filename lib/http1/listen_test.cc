#include "lib/http1/listen.h"

#include <gtest/gtest.h>

#include <fstream>

#include "lib/http1/test_socket.h"

namespace ambit::http1 {
namespace {

using testing::ConnectTo;
using testing::ListenAt;
using testing::TemporaryFolder;

TEST(ListenStream, OnlyTheOwnerMayConnect) {
  TemporaryFolder folder;
  std::string path = folder.File("agent.sock");
  auto listener = ListenStream(path);
  ASSERT_TRUE(listener.has_value()) << listener.error().message();
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST(ListenStream, AStaleSocketFileIsReplaced) {
  TemporaryFolder folder;
  std::string path = folder.File("agent.sock");
  ListenAt(path).Reset();
  auto listener = ListenStream(path);
  ASSERT_TRUE(listener.has_value()) << listener.error().message();
  EXPECT_TRUE(ConnectTo(path).valid());
}

TEST(ListenStream, ALiveSocketIsRefused) {
  TemporaryFolder folder;
  std::string path = folder.File("agent.sock");
  UniqueFd live = ListenAt(path);
  auto listener = ListenStream(path);
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(ConnectTo(path).valid());
}

TEST(ListenStream, AFileThatIsNoSocketIsLeftAlone) {
  TemporaryFolder folder;
  std::string path = folder.File("agent.sock");
  std::ofstream(path) << "precious";
  auto listener = ListenStream(path);
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

TEST(ListenStream, APathTooLongForASocketIsInvalid) {
  auto listener = ListenStream("/tmp/" + std::string(200, 'x'));
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ambit::http1
