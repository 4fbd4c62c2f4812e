#include "ztunnel-lite/zds/message.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::zds {
namespace {

using testing::HasSubstr;

net::Packet PacketOf(const std::string& hex, int fds = 0) {
  net::Packet packet;
  packet.bytes = HexDecode(hex).value();
  for (int i = 0; i < fds; ++i) packet.fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return packet;
}

TEST(ZdsMessage, EncodesTheBytesThatTheAgentExpects) {
  EXPECT_EQ(HexEncode(EncodeHello()), "0801");
  EXPECT_EQ(HexEncode(EncodeAck("")), "0a00");
  EXPECT_EQ(HexEncode(EncodeAck("x")), "0a030a0178");
  EXPECT_LT(EncodeAck(std::string(5000, 'x')).size(), 1024u);
}

TEST(ZdsMessage, DecodesEveryRequest) {
  EXPECT_TRUE(std::holds_alternative<SnapshotSent>(Decode(PacketOf("1a00")).value()));
  EXPECT_EQ(std::get<DeletePod>(Decode(PacketOf("1203120175")).value()).uid, "u");
  EXPECT_EQ(std::get<KeepPod>(Decode(PacketOf("2a030a0175")).value()).uid, "u");
  auto add =
      Decode(PacketOf("0a0e0a01751209"
                      "0a016e12016e1a0173",
                      1));
  ASSERT_TRUE(add.has_value()) << add.error().message();
  EXPECT_EQ(std::get<AddPod>(*add).pod, (Pod{"u", "n", "n", "s"}));
  EXPECT_TRUE(std::get<AddPod>(*add).netns.valid());
}

TEST(ZdsMessage, RefusesWhatIsBrokenOrOutOfForm) {
  const char* with_info = "0a0e0a017512090a016e12016e1a0173";
  struct Case {
    std::string hex;
    int fds;
    const char* why;
  };
  const Case cases[] = {
      {"0a030a0175", 1, "workload_info"},
      {with_info, 0, "0 descriptors"},
      {with_info, 2, "2 descriptors"},
      {"1a00", 1, "carries a descriptor"},
      {"ff", 0, "decode"},
      {"", 0, "says nothing"},
  };
  for (const auto& c : cases) {
    auto message = Decode(PacketOf(c.hex, c.fds));
    ASSERT_FALSE(message.has_value()) << c.hex;
    EXPECT_EQ(message.error().code(), ErrorCode::kProtocol);
    EXPECT_THAT(message.error().message(), HasSubstr(c.why));
  }
  auto cut = PacketOf("1a00");
  cut.truncated = true;
  EXPECT_FALSE(Decode(std::move(cut)).has_value());
}

}  // namespace
}  // namespace ambit::zds
