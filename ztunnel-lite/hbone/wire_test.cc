// What we say on the wire, byte by byte, and how we answer what others say there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "ztunnel-lite/hbone/raw_peer.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[static_cast<uint8_t>(byte) >> 4];
    text += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

std::string ErrorCodeOf(const RawPeer::Frame& reset) { return Hex(reset.payload); }

// A tunnel whose client is the test.
struct FromClient {
  FromClient() {
    TcpPair tcp = MakeTcpPair();
    ended = tunnel.Serve(std::move(tcp.far));
    peer = RawPeer::Client(std::move(tcp.near), tunnel.client_credential(), TestTunnel::kServer);
  }
  TestTunnel tunnel;
  std::future<Result<void>> ended;
  std::unique_ptr<RawPeer> peer;
};

// A tunnel whose server is the test; its client asks for `request`.
struct FromServer {
  explicit FromServer(ConnectRequest request) {
    TcpPair tcp = MakeTcpPair(), apps = MakeTcpPair();
    app = std::move(apps.near);
    SetBlocking(app.get());
    ended = tunnel.Dial(std::move(tcp.near), std::move(apps.far), {}, std::move(request));
    peer = RawPeer::Server(std::move(tcp.far), tunnel.server_credential());
  }
  TestTunnel tunnel;
  UniqueFd app;
  std::future<Result<void>> ended;
  std::unique_ptr<RawPeer> peer;
};

TEST(WireTest, AClientOpensWithThePrefaceItsSettingsAndTheWindowOfTheConnection) {
  FromServer mesh(PlainRequest());
  EXPECT_EQ(mesh.peer->Receive(24), kPreface);
  EXPECT_EQ(Hex(mesh.peer->Receive(9 + 24)),
            "000018040000000000"
            "000200000000"   // ENABLE_PUSH 0
            "000400400000"   // INITIAL_WINDOW_SIZE 4 MiB
            "000500100000"   // MAX_FRAME_SIZE 1 MiB
            "000600004000")  // MAX_HEADER_LIST_SIZE 16 KiB
      << "SETTINGS";
  EXPECT_EQ(Hex(mesh.peer->Receive(9 + 4)),
            "000004080000000000"
            "00ff0001")
      << "16 MiB less the 65,535 bytes that every connection starts with";
}

TEST(WireTest, AServerOpensWithItsSettingsAndTheWindowOfTheConnection) {
  FromClient mesh;
  EXPECT_EQ(Hex(mesh.peer->Receive(9 + 24)),
            "000018040000000000"
            "0003000000c8"   // MAX_CONCURRENT_STREAMS 200
            "000400400000"   // INITIAL_WINDOW_SIZE 4 MiB
            "000500100000"   // MAX_FRAME_SIZE 1 MiB
            "000600010000")  // MAX_HEADER_LIST_SIZE 64 KiB
      << "SETTINGS";
  EXPECT_EQ(Hex(mesh.peer->Receive(9 + 4)),
            "000004080000000000"
            "00ff0001");
}

TEST(WireTest, AConnectCarriesExactlyItsFieldsInOrder) {
  ConnectRequest request;
  request.authority = "[fd00::1]:8080";
  request.baggage = "k8s.cluster.name=a,k8s.namespace.name=b";
  request.forwarded = "for=\"10.244.1.5:41234\";host=c.b.svc.cluster.local";
  request.traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";
  request.x_forwarded_network = "";
  FromServer mesh(request);
  mesh.peer->Receive(kPreface.size());
  const auto headers = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(headers);
  EXPECT_EQ(headers->stream, 1);
  EXPECT_EQ(headers->flags, NGHTTP2_FLAG_END_HEADERS);
  EXPECT_THAT(
      mesh.peer->DecodeFields(*headers),
      ElementsAre(Pair(":method", "CONNECT"), Pair(":authority", "[fd00::1]:8080"),
                  Pair("baggage", "k8s.cluster.name=a,k8s.namespace.name=b"),
                  Pair("forwarded", *request.forwarded), Pair("traceparent", *request.traceparent),
                  Pair("x-forwarded-network", "")));
}

TEST(WireTest, AConnectWithoutOptionalFieldsStillCarriesItsEmptyBaggage) {
  FromServer mesh(PlainRequest());
  mesh.peer->Receive(kPreface.size());
  const auto headers = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(headers);
  EXPECT_THAT(mesh.peer->DecodeFields(*headers),
              ElementsAre(Pair(":method", "CONNECT"), Pair(":authority", "10.0.0.1:80"),
                          Pair("baggage", "")));
}

TEST(WireTest, AnAcceptedConnectIsAnsweredWith200AndNoEnd) {
  FromClient mesh;
  mesh.peer->Send(ClientOpening() + ConnectFrame(1));
  const auto headers = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(headers);
  EXPECT_EQ(headers->flags, NGHTTP2_FLAG_END_HEADERS);
  EXPECT_THAT(mesh.peer->DecodeFields(*headers),
              ElementsAre(Pair(":status", "200"), Pair("baggage", "k8s.namespace.name=default")));
}

TEST(WireTest, AnyOtherMethodIsAnsweredWith400AndTheEnd) {
  FromClient mesh;
  mesh.peer->Send(ClientOpening() + MakeFrame(NGHTTP2_HEADERS,
                                              NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                                              EncodeFields({{":method", "GET"},
                                                            {":scheme", "https"},
                                                            {":path", "/"},
                                                            {":authority", "10.0.0.1:80"}})));
  const auto headers = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(headers);
  EXPECT_EQ(headers->flags, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
  EXPECT_THAT(mesh.peer->DecodeFields(*headers), ElementsAre(Pair(":status", "400")));
}

class ConnectWith : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(ConnectWith, IsResetWithProtocolErrorAndTheTunnelLives) {
  FromClient mesh;
  mesh.peer->Send(
      ClientOpening() +
      MakeFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
                EncodeFields({{":method", "CONNECT"}, GetParam(), {":authority", "10.0.0.1:80"}})));
  const auto reset = mesh.peer->NextFrame(NGHTTP2_RST_STREAM);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->stream, 1);
  EXPECT_EQ(ErrorCodeOf(*reset), "00000001") << "PROTOCOL_ERROR";
  mesh.peer->Send(ConnectFrame(3));
  const auto headers = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(headers);
  EXPECT_EQ(headers->stream, 3);
}

INSTANTIATE_TEST_SUITE_P(WireTest, ConnectWith,
                         testing::Values(std::pair(":scheme", "https"), std::pair(":path", "/"),
                                         std::pair(":protocol", "websocket")));

TEST(WireTest, AHeaderListBeyondWhatWeAnnouncedIsAnsweredWith431) {
  FromClient mesh;
  mesh.peer->Send(ClientOpening() + MakeFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
                                              EncodeFields({{":method", "CONNECT"},
                                                            {":authority", "10.0.0.1:80"},
                                                            {"x-one", std::string(40000, 'a')},
                                                            {"x-two", std::string(40000, 'b')}})));
  const auto headers = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(headers);
  EXPECT_THAT(mesh.peer->DecodeFields(*headers), ElementsAre(Pair(":status", "431")));
  mesh.peer->Send(ConnectFrame(3));
  const auto next = mesh.peer->NextFrame(NGHTTP2_HEADERS);
  ASSERT_TRUE(next);
  EXPECT_THAT(mesh.peer->DecodeFields(*next), testing::Contains(Pair(":status", "200")));
}

TEST(WireTest, DataOnAStreamThatHasEndedIsDropped) {
  FromClient mesh;
  mesh.peer->Send(ClientOpening() + ConnectFrame(1, "deny:1"));
  ASSERT_TRUE(mesh.peer->NextFrame(NGHTTP2_RST_STREAM)) << "refused, and the rest is not wanted";
  mesh.peer->Send(MakeFrame(NGHTTP2_DATA, 0, 1, "was on the way") + ConnectFrame(3) +
                  MakeFrame(NGHTTP2_RST_STREAM, 0, 3, std::string("\0\0\0\10", 4)) +
                  MakeFrame(NGHTTP2_DATA, 0, 3, "should not come") + ConnectFrame(5));
  for (auto frame = mesh.peer->NextFrame(); frame; frame = mesh.peer->NextFrame()) {
    EXPECT_NE(frame->type, NGHTTP2_RST_STREAM);
    if (frame->type == NGHTTP2_HEADERS && frame->stream == 5) return;
  }
  FAIL() << "the tunnel ended";
}

TEST(WireTest, HeadersOnAStreamThatItsClientEndedEndTheTunnel) {
  FromClient mesh;
  mesh.peer->Send(ClientOpening() + ConnectFrame(1) +
                  MakeFrame(NGHTTP2_RST_STREAM, 0, 1, std::string("\0\0\0\10", 4)) +
                  ConnectFrame(1));
  EXPECT_EQ(mesh.peer->GoawayCode(), NGHTTP2_PROTOCOL_ERROR);
  EXPECT_THAT(mesh.ended.get().error().message(), HasSubstr("its client has ended"));
}

TEST(WireTest, HeadersOnAStreamThatItsClientSkippedEndTheTunnel) {
  FromClient mesh;
  mesh.peer->Send(ClientOpening() + ConnectFrame(5) + ConnectFrame(3));
  EXPECT_EQ(mesh.peer->GoawayCode(), NGHTTP2_PROTOCOL_ERROR);
  EXPECT_THAT(mesh.ended.get().error().message(), HasSubstr("below one that is open"));
}

TEST(WireTest, AResetOfAStreamNamesItsCodeToTheClient) {
  FromServer mesh(PlainRequest());
  mesh.peer->Receive(kPreface.size());
  mesh.peer->Send(MakeFrame(NGHTTP2_SETTINGS, 0, 0));
  ASSERT_TRUE(mesh.peer->NextFrame(NGHTTP2_HEADERS));
  mesh.peer->Send(MakeFrame(NGHTTP2_RST_STREAM, 0, 1, std::string("\0\0\0\7", 4)));
  const Result<void> ended = mesh.ended.get();
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message(), HasSubstr("REFUSED_STREAM"));
}

}  // namespace
}  // namespace ambit::hbone
