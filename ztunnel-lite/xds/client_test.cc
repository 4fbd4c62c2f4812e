#include "ztunnel-lite/xds/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "ztunnel-lite/identity/ca/test_ca.h"
#include "ztunnel-lite/xds/resource_fixture.h"
#include "ztunnel-lite/xds/test_server.h"

namespace ambit::xds {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

// A control thread, a mesh and a folder for the client's files.
class XdsClient : public testing::Test {
 protected:
  XdsClient() {
    std::string pattern = std::filesystem::temp_directory_path() / "ambit-xds-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    config_.auth_token_path = folder_ / "token";
    config_.xds_root_ca = folder_ / "root.pem";
    std::ofstream(config_.auth_token_path) << "secret\n";
    control_ = std::thread([this] { io_.run(); });
  }
  ~XdsClient() override {
    client_.reset();
    work_.reset();
    control_.join();
    std::filesystem::remove_all(folder_);
  }

  void WriteRoot() { std::ofstream(config_.xds_root_ca) << ca_.root_pem(); }
  void Start(const std::string& address) {
    config_.xds_address = address;
    auto client =
        Client::Start({config_, mesh_, io_, log_, metrics_}, [this] { synced_.set_value(); });
    ASSERT_TRUE(client.has_value());
    client_ = std::move(*client);
  }
  bool Synced() { return synced_.get_future().wait_for(kPatience) == std::future_status::ready; }

  identity::TestCa ca_;
  std::filesystem::path folder_;
  config::Config config_;
  state::MeshState mesh_;
  observe::MemoryLog log_;
  prometheus::Registry metrics_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  std::promise<void> synced_;
  std::thread control_;
  std::unique_ptr<Client> client_;
};

TEST_F(XdsClient, SyncsOverTlsWithItsTokenAndAcknowledgesByNonce) {
  auto issued = ca_.IssueServer("IP:127.0.0.1");
  TestServer server(issued.key_pem, issued.chain_pem);
  WriteRoot();
  Start(server.address());
  ASSERT_EQ(server.NextRequest()->type_url(), kAddressType);
  ASSERT_EQ(server.NextRequest()->type_url(), kAuthorizationType);
  EXPECT_EQ(server.authorization(), "Bearer secret");
  auto answer = AnswerOf(kAddressType, "n1");
  AddWorkload(answer, "a", "v1");
  server.Send(answer);
  auto ack = server.NextRequest();
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->response_nonce(), "n1");
  EXPECT_FALSE(ack->has_error_detail());
  EXPECT_NE(mesh_.FindWorkload("a"), nullptr);  // applied before the acknowledgement
  server.Send(AnswerOf(kAuthorizationType, "n2"));
  ASSERT_EQ(server.NextRequest()->response_nonce(), "n2");
  EXPECT_TRUE(Synced());
}

TEST_F(XdsClient, AfterALostStreamItNamesWhatItHolds) {
  TestServer server("", "");
  Start(server.address());
  server.NextRequest();
  server.NextRequest();
  auto answer = AnswerOf(kAddressType, "n1");
  AddWorkload(answer, "a", "v7");
  server.Send(answer);
  ASSERT_EQ(server.NextRequest()->response_nonce(), "n1");
  server.Drop();
  auto again = server.NextRequest();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->initial_resource_versions().at("a"), "v7");
  EXPECT_NE(mesh_.FindWorkload("a"), nullptr);
}

TEST_F(XdsClient, RootsThatComeLateAreFoundWithTheNextAttempt) {
  auto issued = ca_.IssueServer("IP:127.0.0.1");
  TestServer server(issued.key_pem, issued.chain_pem);
  Start(server.address());
  while (log_.text().find("root certificates") == std::string::npos) std::this_thread::yield();
  WriteRoot();
  EXPECT_TRUE(server.NextRequest().has_value());
}

TEST_F(XdsClient, TheAlternativeNameIsAcceptedToo) {
  auto issued = ca_.IssueServer("DNS:other.example");
  TestServer server(issued.key_pem, issued.chain_pem);
  WriteRoot();
  config_.alt_xds_hostname = "other.example";
  Start(server.address());
  EXPECT_TRUE(server.NextRequest().has_value());
}

TEST_F(XdsClient, AServerThatHasAnsweredIsAskedByTheSameNameAgain) {
  auto issued = ca_.IssueServer("DNS:other.example");
  TestServer server(issued.key_pem, issued.chain_pem);
  WriteRoot();
  config_.alt_xds_hostname = "other.example";
  Start(server.address());
  server.NextRequest();
  server.NextRequest();
  server.Send(AnswerOf(kAddressType, "n1"));
  ASSERT_EQ(server.NextRequest()->response_nonce(), "n1");
  server.Drop();
  ASSERT_TRUE(server.NextRequest().has_value());
  std::string text = log_.text();
  size_t first = text.find("is not in peer certificate");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("is not in peer certificate", first + 1), std::string::npos) << text;
}

TEST_F(XdsClient, AServerThatProvesNoExpectedNameIsRefused) {
  auto issued = ca_.IssueServer("DNS:stranger.example");
  TestServer server(issued.key_pem, issued.chain_pem);
  WriteRoot();
  Start(server.address());
  while (log_.text().find("connection to the control plane ended") == std::string::npos) {
    std::this_thread::yield();
  }
  EXPECT_EQ(server.authorization(), "");
}

TEST_F(XdsClient, CanBeStoppedWhileItsStreamIsIdle) {
  TestServer server("", "");
  Start(server.address());
  server.NextRequest();
  client_.reset();
}

}  // namespace
}  // namespace ambit::xds
