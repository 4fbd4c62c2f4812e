// Peers that make us work for nothing: their tunnel ends with ENHANCE_YOUR_CALM and a sentence that
// names the flood, memory stays bounded, and the other tunnels of the same worker go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>

#include "ztunnel-lite/hbone/raw_peer.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

using ::testing::HasSubstr;

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

class FloodTest : public testing::Test {
 protected:
  FloodTest() {
    TcpPair tcp = MakeTcpPair();
    ended_ = tunnel_.Serve(std::move(tcp.far));
    peer_ = RawPeer::Client(std::move(tcp.near), tunnel_.client_credential(), TestTunnel::kServer);
    auto link = tunnel_.Open();
    sibling_ = std::move(*link);
    peer_->Send(ClientOpening());
    resident_ = ResidentBytes();
  }

  // Sends `what` until the other end has had enough, `most` times at most.
  void Flood(const std::string& what, int most) {
    std::string batch;
    for (int i = 0; i < most; ++i) {
      batch += what;
      if (batch.size() < 4096 && i + 1 < most) continue;
      if (!peer_->Send(batch)) return;
      batch.clear();
    }
  }

  void ExpectEnded(const std::string& words) {
    SendAll(sibling_.client_app.get(), "sibling");
    EXPECT_EQ(ReceiveExactly(sibling_.server_app.get(), 7), "sibling");
    const Result<void> ended = ended_.get();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), ErrorCode::kProtocol) << ended.error().message();
    EXPECT_THAT(ended.error().message(), HasSubstr(words));
    EXPECT_LT(ResidentBytes(), resident_ + (32 << 20));
    SendAll(sibling_.server_app.get(), "still");
    EXPECT_EQ(ReceiveExactly(sibling_.client_app.get(), 5), "still");
    EXPECT_TRUE(tunnel_.Open());
  }

  TestTunnel tunnel_;
  std::future<Result<void>> ended_;
  std::unique_ptr<RawPeer> peer_;
  Link sibling_;
  size_t resident_ = 0;
};

constexpr uint32_t kCalm = NGHTTP2_ENHANCE_YOUR_CALM;

TEST_F(FloodTest, OfStreamsThatAreResetAtOnce) {
  std::string batch;
  for (int32_t stream = 1; stream < 2000; stream += 2) {
    batch += ConnectFrame(stream);
    batch += MakeFrame(NGHTTP2_RST_STREAM, 0, stream, std::string("\0\0\0\10", 4));
  }
  peer_->Send(batch);
  ExpectEnded("streams reset before they were answered");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfFramesThatMakeUsReset) {
  // Each asks for a window of 2^31 more, which is an error of the stream. In batches, because
  // otherwise the number of streams would end it.
  for (int32_t last = 199, stream = 1; last < 4000; last += 200) {
    std::string batch;
    for (; stream <= last; stream += 2) {
      batch += ConnectFrame(stream, "deny:1");
      batch += MakeFrame(NGHTTP2_WINDOW_UPDATE, 0, stream, "\x7f\xff\xff\xff");
    }
    if (!peer_->Send(batch)) break;
    auto reset = peer_->NextFrame(NGHTTP2_RST_STREAM);
    while (reset && reset->stream != last) reset = peer_->NextFrame(NGHTTP2_RST_STREAM);
  }
  ExpectEnded("frames that make us reset streams");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfSettings) {
  Flood(MakeFrame(NGHTTP2_SETTINGS, 0, 0), 3000);
  ExpectEnded("SETTINGS frames");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfPings) {
  Flood(MakeFrame(NGHTTP2_PING, 0, 0, "8 bytes."), 3000);
  ExpectEnded("PING frames");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfPriorities) {
  peer_->Send(ConnectFrame(1));
  Flood(MakeFrame(NGHTTP2_PRIORITY, 0, 1, std::string("\0\0\0\0\1", 5)), 3000);
  ExpectEnded("PRIORITY frames");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfDataWithoutData) {
  peer_->Send(ConnectFrame(1));
  Flood(MakeFrame(NGHTTP2_DATA, 0, 1), 3000);
  ExpectEnded("DATA frames without data");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfPaddingWithoutData) {
  peer_->Send(ConnectFrame(1));
  Flood(MakeFrame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, std::string("\2\0\0", 3)), 3000);
  ExpectEnded("DATA frames without data");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfContinuations) {
  peer_->Send(MakeFrame(NGHTTP2_HEADERS, 0, 1, EncodeFields({{":method", "CONNECT"}})));
  Flood(MakeFrame(NGHTTP2_CONTINUATION, 0, 1, EncodeFields({{"x-more", "x"}})), 3000);
  ExpectEnded("CONTINUATION");
  EXPECT_TRUE(peer_->GoawayCode());
}

TEST_F(FloodTest, OfFieldsThatAFewBytesUnfold) {
  // The first field goes into the table as entry 62; each 0xbe then is that field again.
  std::string block = "\x40\x05x-big\x7f\xa1\x1e" + std::string(4000, 'x');
  block += std::string(200000, '\xbe');
  peer_->Send(MakeFrame(NGHTTP2_HEADERS, 0, 1, block));
  ExpectEnded("header lists far beyond what we announced");
  EXPECT_EQ(peer_->GoawayCode(), kCalm);
}

TEST_F(FloodTest, OfPingsWhoseAnswersAreNeverRead) {
  // Fills the way back first, so that the answers have to wait with us.
  peer_->Send(ConnectFrame(1));
  const UniqueFd app = tunnel_.NextServerApp();
  const timeval brief{0, 100000};
  setsockopt(app.get(), SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
  const std::string block(1 << 20, 'x');
  while (SendAll(app.get(), block) == block.size()) {
  }
  Flood(MakeFrame(NGHTTP2_PING, 0, 0, "8 bytes."), 3000);
  ExpectEnded("PING frames");
}

}  // namespace
}  // namespace ambit::hbone
