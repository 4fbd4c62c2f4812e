#include "node-agent/zds/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <optional>

#include "lib/net/packet.h"
#include "proto/zds.pb.h"

namespace ambit::zds {
namespace {

namespace asio = boost::asio;
namespace wire = ::istio::workload::zds;
using std::chrono::milliseconds;

constexpr milliseconds kLong(5000);

// A server and the tunnels of a test, all on the test's own thread.
class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    std::string pattern = "/tmp/ambit-zds-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    options_.path = folder_ + "/zds.sock";
    netns_ = std::make_shared<const UniqueFd>(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  }
  ~ServerTest() override {
    server_.reset();
    io_.restart();
    io_.poll();
    std::filesystem::remove_all(folder_);
  }

  void Start() {
    auto server = Server::Listen(io_, options_, log_, [this] { ++answers_; });
    ASSERT_TRUE(server.has_value()) << server.error().message();
    server_ = std::move(*server);
    server_->Accept();
  }

  template <typename Done>
  bool RunUntil(Done done) {
    auto end = std::chrono::steady_clock::now() + kLong;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.run_one_for(milliseconds(5));
    }
    return true;
  }

  UniqueFd Connect() { return std::move(net::ConnectSeqpacket(options_.path).value()); }

  std::optional<net::Packet> Receive(const UniqueFd& tunnel) {
    std::optional<net::Packet> packet;
    RunUntil([&] {
      auto got = net::ReceivePacket(tunnel.get(), kMaxMessageBytes);
      if (!got && got.error().code() == ErrorCode::kUnavailable) return false;
      packet = got ? std::move(*got) : net::Packet{};
      return true;
    });
    return packet;
  }
  bool Closed(const UniqueFd& tunnel) {
    auto packet = Receive(tunnel);
    return packet && packet->bytes.empty();
  }
  // "add a +fd", "keep a", "del a", "snapshot", "closed".
  std::string Next(const UniqueFd& tunnel) {
    auto packet = Receive(tunnel);
    if (!packet) return "nothing";
    if (packet->bytes.empty()) return "closed";
    std::string fd = packet->fds.empty() ? "" : " +fd";
    wire::WorkloadRequest request;
    request.ParseFromArray(packet->bytes.data(), static_cast<int>(packet->bytes.size()));
    if (request.has_add()) return "add " + request.add().uid() + fd;
    if (request.has_keep()) return "keep " + request.keep().uid() + fd;
    if (request.has_del()) return "del " + request.del().uid() + fd;
    return request.has_snapshot_sent() ? "snapshot" + fd : "garbage";
  }
  void Send(const UniqueFd& tunnel, std::string_view hex, int fd = -1) {
    ASSERT_TRUE(net::SendPacket(tunnel.get(), *HexDecode(hex), fd).has_value());
  }
  void Ack(const UniqueFd& tunnel) { Send(tunnel, "0a00"); }
  void Nack(const UniqueFd& tunnel) { Send(tunnel, "0a040a026e6f"); }
  // Returns when the server has read the acknowledgement.
  void EndSnapshot(const UniqueFd& tunnel) {
    EXPECT_EQ(Next(tunnel), "snapshot");
    size_t before = answers_;
    Ack(tunnel);
    EXPECT_TRUE(RunUntil([&] { return answers_ > before; }));
  }
  // A tunnel that has said hello and acknowledged an empty snapshot.
  UniqueFd Ready() {
    UniqueFd tunnel = Connect();
    Send(tunnel, "0801");
    EndSnapshot(tunnel);
    return tunnel;
  }

  Workload Pod(const std::string& uid) { return {uid, {uid, "ns", "sa"}, netns_, {1, 2}}; }
  void StartAdd(const std::string& uid, milliseconds timeout = kLong) {
    asio::co_spawn(io_, server_->Add(Pod(uid), timeout),
                   [this](const std::exception_ptr&, Result<void> result) { added_ = result; });
  }
  bool AddEnded() {
    return RunUntil([this] { return added_.has_value(); });
  }

  asio::io_context io_{1};
  observe::MemoryLog log_;
  std::string folder_;
  ServerOptions options_;
  std::shared_ptr<const UniqueFd> netns_;
  std::unique_ptr<Server> server_;
  std::optional<Result<void>> added_;
  size_t answers_ = 0;
};

TEST_F(ServerTest, TheSocketIsForRootOnly) {
  Start();
  struct stat status;
  ASSERT_EQ(stat(options_.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ServerTest, ASnapshotIsSentOneMessageAtATimeWithADescriptorForEachAdd) {
  Start();
  server_->Set(Pod("a"));
  server_->Set({"b", {"b", "ns", "sa"}, nullptr, {}});
  UniqueFd tunnel = Connect();
  Send(tunnel, "0801");
  EXPECT_EQ(Next(tunnel), "add a +fd");
  EXPECT_FALSE(server_->connected());
  Ack(tunnel);
  EXPECT_EQ(Next(tunnel), "keep b");
  Ack(tunnel);
  EXPECT_EQ(Next(tunnel), "snapshot");
  Ack(tunnel);
  EXPECT_TRUE(RunUntil([this] { return server_->connected(); }));
  EXPECT_TRUE(server_->Serves("a"));
}

TEST_F(ServerTest, TheDescriptorIsThePodsNamespace) {
  Start();
  server_->Set(Pod("a"));
  UniqueFd tunnel = Connect();
  Send(tunnel, "0801");
  auto packet = Receive(tunnel);
  ASSERT_TRUE(packet && packet->fds.size() == 1);
  EXPECT_EQ(net::IdentifyNetns(packet->fds[0].get()).value(),
            net::IdentifyNetns(netns_->get()).value());
}

TEST_F(ServerTest, AddReturnsWhenTheTunnelAcknowledges) {
  Start();
  UniqueFd tunnel = Ready();
  StartAdd("a");
  EXPECT_EQ(Next(tunnel), "add a +fd");
  EXPECT_FALSE(added_.has_value());
  Ack(tunnel);
  ASSERT_TRUE(AddEnded());
  EXPECT_TRUE(added_->has_value());
}

TEST_F(ServerTest, AddSaysTheTunnelsWordsWhenItRefuses) {
  Start();
  UniqueFd tunnel = Ready();
  StartAdd("a");
  Next(tunnel);
  Nack(tunnel);
  ASSERT_TRUE(AddEnded());
  EXPECT_EQ(added_->error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(added_->error().message(), "the tunnel refused the pod: no");
}

TEST_F(ServerTest, AddWithoutATunnelSaysSinceWhenNoneIsThere) {
  Start();
  StartAdd("a", milliseconds(20));
  ASSERT_TRUE(AddEnded());
  EXPECT_EQ(added_->error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(added_->error().message().find("no tunnel has been connected to"), std::string::npos);
}

TEST_F(ServerTest, AddSucceedsWithATunnelThatConnectsMeanwhile) {
  Start();
  StartAdd("a");
  UniqueFd tunnel = Connect();
  Send(tunnel, "0801");
  EXPECT_EQ(Next(tunnel), "add a +fd");
  Ack(tunnel);
  EXPECT_EQ(Next(tunnel), "snapshot");
  EXPECT_FALSE(added_.has_value());
  Ack(tunnel);
  ASSERT_TRUE(AddEnded());
  EXPECT_TRUE(added_->has_value());
}

TEST_F(ServerTest, AMissingAckEndsTheConnectionAndTheOlderTunnelGetsThePod) {
  options_.deadlines.message = milliseconds(50);
  Start();
  UniqueFd older = Ready();
  UniqueFd newer = Ready();
  StartAdd("a");
  EXPECT_EQ(Next(newer), "add a +fd");
  EXPECT_TRUE(Closed(newer));
  EXPECT_EQ(Next(older), "add a +fd");
  Ack(older);
  ASSERT_TRUE(AddEnded());
  EXPECT_TRUE(added_->has_value());
}

TEST_F(ServerTest, ASilentTunnelNeverCountsAndIsClosed) {
  options_.deadlines.hello = milliseconds(50);
  Start();
  UniqueFd older = Ready();
  UniqueFd silent = Connect();
  StartAdd("a");
  EXPECT_EQ(Next(older), "add a +fd");
  Ack(older);
  ASSERT_TRUE(AddEnded());
  EXPECT_TRUE(added_->has_value());
  EXPECT_TRUE(Closed(silent));
}

TEST_F(ServerTest, ATunnelThatNeverEndsItsSnapshotDoesNotTakeTheAdds) {
  Start();
  UniqueFd older = Ready();
  UniqueFd stuck = Connect();
  Send(stuck, "0801");
  EXPECT_EQ(Next(stuck), "snapshot");
  StartAdd("a");
  EXPECT_EQ(Next(older), "add a +fd");
  Ack(older);
  ASSERT_TRUE(AddEnded());
  EXPECT_TRUE(added_->has_value());
}

TEST_F(ServerTest, ABrokenPeerLosesOnlyItsOwnConnection) {
  Start();
  UniqueFd healthy = Ready();
  UniqueFd garbage = Connect();
  Send(garbage, "ffffff");
  EXPECT_TRUE(Closed(garbage));
  UniqueFd with_fd = Connect();
  Send(with_fd, "0801", netns_->get());
  EXPECT_TRUE(Closed(with_fd));
  UniqueFd too_long = Connect();
  Send(too_long, std::string(2200, '0'));
  EXPECT_TRUE(Closed(too_long));
  UniqueFd talkative = Ready();
  Ack(talkative);
  EXPECT_TRUE(Closed(talkative));
  UniqueFd wrong_answer = Connect();
  Send(wrong_answer, "0801");
  EXPECT_EQ(Next(wrong_answer), "snapshot");
  Send(wrong_answer, "1200");
  EXPECT_TRUE(Closed(wrong_answer));
  StartAdd("a");
  EXPECT_EQ(Next(healthy), "add a +fd");
}

TEST_F(ServerTest, RemovalReachesEveryTunnelAndEndsTheWait) {
  Start();
  server_->Set(Pod("a"));
  auto snapshot = [this] {
    UniqueFd tunnel = Connect();
    Send(tunnel, "0801");
    EXPECT_EQ(Next(tunnel), "add a +fd");
    Ack(tunnel);
    EndSnapshot(tunnel);
    return tunnel;
  };
  UniqueFd older = snapshot();
  UniqueFd newer = snapshot();
  StartAdd("b");
  EXPECT_EQ(Next(newer), "add b +fd");
  server_->Remove("a");
  server_->Remove("b");
  ASSERT_TRUE(AddEnded());
  EXPECT_EQ(added_->error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(Next(older), "del a");
  Ack(newer);
  EXPECT_EQ(Next(newer), "del a");
  Ack(newer);
  EXPECT_EQ(Next(newer), "del b");
}

TEST_F(ServerTest, AStuckTunnelDelaysNoOther) {
  Start();
  server_->Set(Pod("a"));
  UniqueFd stuck = Connect();
  Send(stuck, "0801");
  EXPECT_EQ(Next(stuck), "add a +fd");
  UniqueFd quick = Connect();
  Send(quick, "0801");
  EXPECT_EQ(Next(quick), "add a +fd");
  Ack(quick);
  EXPECT_EQ(Next(quick), "snapshot");
}

TEST_F(ServerTest, TunnelsBeyondTheLimitAreRefused) {
  options_.max_connections = 1;
  Start();
  UniqueFd first = Ready();
  UniqueFd second = Connect();
  EXPECT_TRUE(Closed(second));
}

TEST_F(ServerTest, NobodyIsServedBeforeAccept) {
  auto server = Server::Listen(io_, options_, log_, [] {});
  ASSERT_TRUE(server.has_value());
  UniqueFd tunnel = Connect();
  Send(tunnel, "0801");
  (*server)->Set(Pod("a"));
  io_.poll();
  EXPECT_FALSE(net::ReceivePacket(tunnel.get(), kMaxMessageBytes).has_value());
  (*server)->Accept();
  EXPECT_EQ(Next(tunnel), "add a +fd");
}

TEST_F(ServerTest, StoppingReleasesWhoWaits) {
  Start();
  UniqueFd tunnel = Ready();
  StartAdd("a");
  Next(tunnel);
  server_->Stop();
  ASSERT_TRUE(AddEnded());
  EXPECT_EQ(added_->error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(Closed(tunnel));
}

}  // namespace
}  // namespace ambit::zds
