#include "ztunnel-lite/zds/client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>

#include "ztunnel-lite/zds/test_handler.h"

namespace ambit::zds {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// An agent in the same thread: the loop runs until a packet is there for it.
class ZdsClient : public testing::Test {
 protected:
  ZdsClient() {
    std::string pattern = std::filesystem::temp_directory_path() / "ambit-zds-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ / "agent.sock";
  }
  ~ZdsClient() override {
    client_.reset();
    io_.poll();
    std::filesystem::remove_all(folder_);
  }

  void Listen() {
    auto listener = net::ListenSeqpacket(path_);
    ASSERT_TRUE(listener.has_value());
    listener_ = std::move(*listener);
  }
  void StartClient() {
    client_ = std::make_unique<Client>(Client::Options{path_, std::chrono::milliseconds(20)}, io_,
                                       pods_, log_);
  }
  // Lets the client work until the descriptor is readable, at most ten seconds.
  bool Readable(int fd) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < end) {
      pollfd poll_fd{fd, POLLIN, 0};
      if (poll(&poll_fd, 1, 0) == 1) return true;
      io_.run_one_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  void Accept() {
    ASSERT_TRUE(Readable(listener_.get()));
    agent_.Reset(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    ASSERT_TRUE(agent_.valid());
    EXPECT_EQ(Next(), "0801");
  }
  // The next packet in hexadecimal; "" for the end of the connection.
  std::string Next() {
    if (!Readable(agent_.get())) return "nothing";
    auto packet = net::ReceivePacket(agent_.get(), 1024);
    return packet ? HexEncode(packet->bytes) : packet.error().message();
  }
  std::string Call(const std::string& hex, bool with_fd = false) {
    UniqueFd fd(with_fd ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1);
    EXPECT_TRUE(net::SendPacket(agent_.get(), HexDecode(hex).value(), fd.get()).has_value());
    return Next();
  }

  static constexpr char kAdd[] = "0a0e0a017512090a016e12016e1a0173";
  static constexpr char kSnapshot[] = "1a00";
  static constexpr char kDelete[] = "1203120175";

  std::filesystem::path folder_;
  std::string path_;
  boost::asio::io_context io_{1};
  TestHandler handler_;
  observe::Readiness readiness_;
  prometheus::Registry metrics_;
  observe::MemoryLog log_;
  PodSet pods_{handler_, readiness_, metrics_};
  UniqueFd listener_, agent_;
  std::unique_ptr<Client> client_;
};

TEST_F(ZdsClient, AnswersEachMessageOnceAfterTheHello) {
  Listen();
  StartClient();
  Accept();
  EXPECT_EQ(Call(kAdd, true), "0a00");
  EXPECT_EQ(Call(kSnapshot), "0a00");
  EXPECT_TRUE(readiness_.Pending().empty());
  EXPECT_EQ(Call(kDelete), "0a00");
  EXPECT_THAT(handler_.events, ElementsAre("start u", "stop u"));
}

TEST_F(ZdsClient, WaitsForAnAgentThatComesLater) {
  StartClient();
  while (log_.text().find("connection to the node agent ended") == std::string::npos) io_.run_one();
  Listen();
  Accept();
}

TEST_F(ZdsClient, AMessageThatIsBrokenCostsANegativeAnswerAndTheConnectionOnly) {
  Listen();
  StartClient();
  Accept();
  EXPECT_EQ(Call(kAdd, true), "0a00");
  EXPECT_EQ(Call(kSnapshot), "0a00");
  EXPECT_TRUE(Call("ff").starts_with("0a"));
  EXPECT_EQ(Next(), "");
  EXPECT_THAT(handler_.events, ElementsAre("start u"));
  Accept();
}

TEST_F(ZdsClient, APodThatCannotStartIsRefusedAndTriedAgainOnTheSameConnection) {
  Listen();
  StartClient();
  Accept();
  EXPECT_EQ(Call(kSnapshot), "0a00");
  handler_.failing = {"u"};
  EXPECT_NE(Call(kAdd, true), "0a00");
  handler_.failing.clear();
  while (pods_.has_pending()) io_.run_one();
  EXPECT_TRUE(readiness_.Pending().empty());
  EXPECT_EQ(Call(kDelete), "0a00");
}

TEST_F(ZdsClient, ARestartedAgentFindsTheClientAgainAndPodsGoOn) {
  Listen();
  StartClient();
  Accept();
  EXPECT_EQ(Call(kAdd, true), "0a00");
  EXPECT_EQ(Call(kSnapshot), "0a00");
  agent_.Reset();
  Accept();
  EXPECT_FALSE(readiness_.Pending().empty());
  EXPECT_EQ(Call("2a030a0175"), "0a00");  // keep
  EXPECT_EQ(Call(kSnapshot), "0a00");
  EXPECT_THAT(handler_.events, ElementsAre("start u"));
}

}  // namespace
}  // namespace ambit::zds
