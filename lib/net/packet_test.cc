#include "lib/net/packet.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace ambit::net {
namespace {

struct Pair {
  UniqueFd left, right;
};

Pair MakePair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

TEST(Packet, CarriesBytesAndOneDescriptor) {
  Pair pair = MakePair();
  UniqueFd sent(dup(pair.left.get()));
  ASSERT_TRUE(SendPacket(pair.left.get(), AsBytes("hello"), sent.get()).has_value());
  auto packet = ReceivePacket(pair.right.get(), 1024);
  ASSERT_TRUE(packet.has_value());
  EXPECT_EQ(AsText(packet->bytes), "hello");
  ASSERT_EQ(packet->fds.size(), 1u);
  EXPECT_TRUE(packet->fds[0].valid());
  EXPECT_FALSE(packet->truncated);
}

TEST(Packet, ATooLongPacketIsMarkedTruncated) {
  Pair pair = MakePair();
  ASSERT_TRUE(SendPacket(pair.left.get(), AsBytes("0123456789")).has_value());
  EXPECT_TRUE(ReceivePacket(pair.right.get(), 4)->truncated);
}

TEST(Packet, NothingThereIsUnavailableAndAClosedPeerIsEmpty) {
  Pair pair = MakePair();
  auto nothing = ReceivePacket(pair.right.get(), 1024);
  ASSERT_FALSE(nothing.has_value());
  EXPECT_EQ(nothing.error().code(), ErrorCode::kUnavailable);
  pair.left.Reset();
  EXPECT_TRUE(ReceivePacket(pair.right.get(), 1024)->bytes.empty());
}

TEST(SeqpacketListener, ReplacesAStaleFileButNotALiveListener) {
  char folder[] = "/tmp/ambit-packet-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::string path = std::string(folder) + "/s";
  {
    auto listener = ListenSeqpacket(path);
    ASSERT_TRUE(listener.has_value()) << listener.error().message();
    struct stat status;
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_TRUE(ConnectSeqpacket(path).has_value());
    EXPECT_EQ(ListenSeqpacket(path).error().code(), ErrorCode::kAlreadyExists);
  }
  EXPECT_EQ(ConnectSeqpacket(path).error().code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(ListenSeqpacket(path).has_value());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ambit::net
