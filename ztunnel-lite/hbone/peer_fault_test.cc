// Peers that fall silent, break off or talk nonsense: their tunnel ends with the reason, and the
// other tunnels of the same worker go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fstream>

#include "lib/net/socket.h"
#include "ztunnel-lite/hbone/raw_peer.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

Settings Pinging(milliseconds interval, milliseconds timeout) {
  Settings settings;
  settings.ping_interval = interval;
  settings.ping_timeout = timeout;
  return settings;
}

boost::asio::awaitable<void> Refuse(ServerTunnel&, std::unique_ptr<ConnectCall> call) {
  call->Reject(503);
  co_return;
}

// A tunnel that works, and a second one on the same server worker whose client is the test.
class BesidePeer : public testing::Test {
 protected:
  void Connect(Settings settings = {}) {
    TcpPair tcp = MakeTcpPair();
    ended_ = tunnel_.Serve(std::move(tcp.far), settings);
    peer_ = RawPeer::Client(std::move(tcp.near), tunnel_.client_credential(), TestTunnel::kServer);
  }
  void ExpectSiblingWorks() {
    auto link = tunnel_.Open();
    ASSERT_TRUE(link) << link.error().message();
    SendAll(link->client_app.get(), "sibling");
    EXPECT_EQ(ReceiveExactly(link->server_app.get(), 7), "sibling");
  }
  void ExpectEnded(ErrorCode code, const std::string& words) {
    const Result<void> ended = ended_.get();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), code) << ended.error().message();
    EXPECT_THAT(ended.error().message(), HasSubstr(words));
    ExpectSiblingWorks();
  }

  TestTunnel tunnel_;
  std::future<Result<void>> ended_;
  std::unique_ptr<RawPeer> peer_;
};

using PeerFaultTest = BesidePeer;

TEST_F(PeerFaultTest, AClientThatAnswersNoPingLosesItsTunnel) {
  Connect(Pinging(milliseconds(10), milliseconds(40)));
  peer_->Send(ClientOpening() + ConnectFrame(1));
  const UniqueFd app = tunnel_.NextServerApp();
  ExpectEnded(ErrorCode::kTimedOut, "did not answer a PING within 40 ms");
  EXPECT_EQ(ReadError(app.get()), ECONNRESET);
  EXPECT_EQ(peer_->GoawayCode(), NGHTTP2_NO_ERROR);
}

TEST_F(PeerFaultTest, AServerThatAnswersNoPingLosesItsTunnel) {
  TcpPair tcp = MakeTcpPair(), apps = MakeTcpPair();
  SetBlocking(apps.near.get());
  ended_ = tunnel_.Dial(std::move(tcp.near), std::move(apps.far),
                        Pinging(milliseconds(10), milliseconds(40)));
  peer_ = RawPeer::Server(std::move(tcp.far), tunnel_.server_credential());
  // ":status 200" is entry 8 of the static table.
  peer_->Send(MakeFrame(NGHTTP2_SETTINGS, 0, 0) +
              MakeFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\x88"));
  ExpectEnded(ErrorCode::kTimedOut, "did not answer a PING within 40 ms");
  EXPECT_EQ(ReadError(apps.near.get()), ECONNRESET);
}

TEST_F(PeerFaultTest, APeerThatAnswersEachPingKeepsItsTunnel) {
  Connect(Pinging(milliseconds(2), milliseconds(10000)));
  peer_->Send(ClientOpening());
  for (int i = 0; i < 20; ++i) {
    const auto ping = peer_->NextFrame(NGHTTP2_PING);
    ASSERT_TRUE(ping);
    peer_->Send(MakeFrame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, ping->payload));
  }
  peer_->Send(ConnectFrame(1));
  EXPECT_TRUE(peer_->NextFrame(NGHTTP2_HEADERS));
}

TEST_F(PeerFaultTest, APeerThatSaysNothingInTlsRunsIntoTheHandshakeDeadline) {
  Settings settings;
  // TLS itself has to end within it, on a busy machine too.
  settings.handshake_timeout = milliseconds(1000);
  Connect(settings);
  ExpectEnded(ErrorCode::kTimedOut, "sent no HTTP/2 SETTINGS within 1000 ms");
}

TEST_F(PeerFaultTest, APeerThatStartsNoTlsRunsIntoTheHandshakeDeadline) {
  Settings settings;
  settings.handshake_timeout = milliseconds(50);
  TcpPair tcp = MakeTcpPair();
  ended_ = tunnel_.Serve(std::move(tcp.far), settings);
  ExpectEnded(ErrorCode::kTimedOut, "TLS handshake with the peer did not end within 50 ms");
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

TEST_F(PeerFaultTest, APeerThatNeverReadsBlocksNobodyAndHoldsLittleMemory) {
  Connect();
  constexpr int kStreams = 30;
  std::string hello = ClientOpening();
  for (int i = 0; i < kStreams; ++i) hello += ConnectFrame(1 + 2 * i);
  peer_->Send(hello);
  std::vector<UniqueFd> apps;
  for (int i = 0; i < kStreams; ++i) apps.push_back(tunnel_.NextServerApp());
  const size_t before = ResidentBytes();
  const std::string block(1 << 20, 'x');
  for (const UniqueFd& app : apps) {
    for (int i = 0; i < 8; ++i) send(app.get(), block.data(), block.size(), MSG_DONTWAIT);
  }
  for (int i = 0; i < 20; ++i) ExpectSiblingWorks();
  EXPECT_LT(ResidentBytes(), before + (24 << 20)) << "240 MiB were offered";
}

TEST_F(PeerFaultTest, AnEndOfTcpUnderAnOpenStreamResetsItsApp) {
  Connect();
  peer_->Send(ClientOpening() + ConnectFrame(1));
  const UniqueFd app = tunnel_.NextServerApp();
  ASSERT_TRUE(peer_->NextFrame(NGHTTP2_HEADERS));
  shutdown(peer_->fd(), SHUT_WR);
  ExpectEnded(ErrorCode::kUnavailable, "the peer closed the tunnel under 1 open streams");
  EXPECT_EQ(ReadError(app.get()), ECONNRESET);
}

TEST_F(PeerFaultTest, AResetOfTcpUnderAnOpenStreamResetsItsApp) {
  Connect();
  peer_->Send(ClientOpening() + ConnectFrame(1));
  const UniqueFd app = tunnel_.NextServerApp();
  ASSERT_TRUE(peer_->NextFrame(NGHTTP2_HEADERS));
  ASSERT_TRUE(net::SetResetOnClose(peer_->fd()));
  peer_->CloseSocket();
  ExpectEnded(ErrorCode::kIo, "tunnel connection");
  EXPECT_EQ(ReadError(app.get()), ECONNRESET);
}

TEST_F(PeerFaultTest, AnEndOfTcpWithoutStreamsIsACleanEnd) {
  Connect();
  peer_->Send(ClientOpening());
  ASSERT_TRUE(peer_->NextFrame(NGHTTP2_WINDOW_UPDATE));
  peer_->CloseSocket();
  const Result<void> ended = ended_.get();
  EXPECT_TRUE(ended) << ended.error().message();
}

TEST_F(PeerFaultTest, NoiseInsteadOfThePrefaceEndsTheTunnel) {
  Connect();
  peer_->Send(Pattern(1000, 3));
  ExpectEnded(ErrorCode::kProtocol, "HTTP/2, input");
}

TEST_F(PeerFaultTest, NoiseAfterThePrefaceEndsTheTunnelAndResetsItsApps) {
  Connect();
  peer_->Send(ClientOpening() + ConnectFrame(1));
  const UniqueFd app = tunnel_.NextServerApp();
  // A frame far larger than we allow, then anything.
  peer_->Send("\xff\xff\xff" + Pattern(100000, 3));
  ExpectEnded(ErrorCode::kProtocol, "HTTP/2, input");
  EXPECT_EQ(ReadError(app.get()), ECONNRESET);
  EXPECT_EQ(peer_->GoawayCode(), NGHTTP2_FRAME_SIZE_ERROR);
}

TEST_F(PeerFaultTest, NoiseInsteadOfRecordsEndsTheTunnel) {
  Connect();
  peer_->Send(ClientOpening() + ConnectFrame(1));
  const UniqueFd app = tunnel_.NextServerApp();
  peer_->SendRaw(Pattern(1000, 3));
  ExpectEnded(ErrorCode::kProtocol, "TLS");
  EXPECT_EQ(ReadError(app.get()), ECONNRESET);
}

boost::asio::awaitable<void> ServeAlone(Worker& worker, UniqueFd tcp,
                                        tls::CredentialPtr credential) {
  auto tunnel =
      co_await ServerTunnel::Establish(worker, std::move(tcp), std::move(credential), {}, Refuse);
  if (tunnel) (void)co_await (*tunnel)->Run();
}

TEST(PeerFault, ATunnelDestroyedInTheMiddleOfAHeaderBlockLeavesNothingBehind) {
  const tls::TestMeshCa ca;
  auto credential = ca.Credential({.uri = TestTunnel::kServer});
  const std::weak_ptr<const tls::Credential> left = credential;
  auto thread = std::make_unique<WorkerThread>();
  TcpPair tcp = MakeTcpPair();
  boost::asio::co_spawn(thread->worker().io(),
                        ServeAlone(thread->worker(), std::move(tcp.far), std::move(credential)),
                        boost::asio::detached);
  const auto peer = RawPeer::Client(
      std::move(tcp.near), ca.Credential({.uri = TestTunnel::kClient}), TestTunnel::kServer);
  peer->Send(ClientOpening() + MakeFrame(NGHTTP2_PING, 0, 0, "8 bytes.") +
             MakeFrame(NGHTTP2_HEADERS, 0, 1, EncodeFields({{":method", "CONNECT"}})));
  // The answer to the PING says that the HEADERS of the same record were read as well.
  ASSERT_TRUE(peer->NextFrame(NGHTTP2_PING));
  // The tunnel ends with its worker, not by its own doing.
  thread.reset();
  EXPECT_TRUE(left.expired());
}

}  // namespace
}  // namespace ambit::hbone
