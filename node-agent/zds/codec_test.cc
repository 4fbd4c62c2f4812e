#include "node-agent/zds/codec.h"

#include <gtest/gtest.h>

namespace ambit::zds {
namespace {

TEST(Codec, AddCarriesUidAndIdentityInTheWireForm) {
  auto bytes = EncodeAdd("u", {"n", "s", "a"});
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(HexEncode(*bytes), "0a0e0a017512090a016e1201731a0161");
}

TEST(Codec, DeleteUsesFieldTwoForTheUid) {
  EXPECT_EQ(HexEncode(*EncodeDelete("u")), "1203120175");
  EXPECT_EQ(HexEncode(*EncodeKeep("u")), "2a030a0175");
  EXPECT_EQ(HexEncode(EncodeSnapshotSent()), "1a00");
}

TEST(Codec, AMessageThatATunnelWouldReadCutOffIsRefused) {
  EXPECT_TRUE(EncodeAdd("u", {std::string(900, 'n'), "s", "a"}).has_value());
  auto refused = EncodeAdd("u", {std::string(1010, 'n'), "s", "a"});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
}

TEST(Codec, AHelloOfAnyVersionIsAcceptedAndGarbageIsNot) {
  EXPECT_TRUE(DecodeHello(*HexDecode("0801")).has_value());
  EXPECT_TRUE(DecodeHello(*HexDecode("0807")).has_value());
  EXPECT_FALSE(DecodeHello(*HexDecode("ffff")).has_value());
}

TEST(Codec, AnEmptyAckIsSuccessAndATextIsARefusal) {
  EXPECT_EQ(DecodeAck(*HexDecode("0a00")).value(), "");
  EXPECT_EQ(DecodeAck(*HexDecode("0a040a026e6f")).value(), "no");
}

TEST(Codec, AnAnswerWithoutAnAckIsABrokenProtocol) {
  EXPECT_EQ(DecodeAck({}).error().code(), ErrorCode::kProtocol);
  EXPECT_EQ(DecodeAck(*HexDecode("0aff")).error().code(), ErrorCode::kProtocol);
  EXPECT_EQ(DecodeAck(*HexDecode("1200")).error().code(), ErrorCode::kProtocol);
}

}  // namespace
}  // namespace ambit::zds
