#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <future>

#include "lib/base/bytes.h"
#include "lib/net/netns.h"
#include "ztunnel-lite/proxy/testing/two_nodes.h"

namespace ambit::proxy {
namespace {

// "web.default.svc.cluster.local A", and "example.com A", as questions.
constexpr char kOurs[] =
    "1234 0100 0001 0000 0000 0000 03776562 0764656661756c74 03737663 07636c7573746572"
    "056c6f63616c 00 0001 0001";
constexpr char kForeign[] = "1234 0100 0001 0000 0000 0000 076578616d706c65 03636f6d 00 0001 0001";

Bytes Hex(std::string text) {
  std::erase(text, ' ');
  return HexDecode(text).value();
}

class PodDns : public testing::TwoNodes {
 protected:
  PodDns() {
    auto made = net::InNetns(client_.netns.get(), []() -> Result<UniqueFd> {
      return UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    });
    app_ = std::move(*made);
    const auto proxy = net::ToSocketAddress(At("127.0.0.1:15053"));
    EXPECT_EQ(connect(app_.get(), proxy.get(), proxy.length), 0);
  }

  void Ask(const std::string& question) {
    const Bytes bytes = Hex(question);
    EXPECT_EQ(send(app_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  // Hexadecimal; "" if nothing comes.
  std::string Answer() {
    pollfd entry{.fd = app_.get(), .events = POLLIN, .revents = 0};
    if (poll(&entry, 1, 5000) != 1) return "";
    Bytes answer(512);
    const ssize_t got = recv(app_.get(), answer.data(), answer.size(), 0);
    if (got < 0) return "";
    return HexEncode(ByteSpan(answer).first(static_cast<size_t>(got)));
  }

  UniqueFd app_;
};

TEST_F(PodDns, ACapturedPodHasAProxyThatKnowsTheMesh) {
  Ask(kOurs);
  const std::string answer = Answer();
  EXPECT_TRUE(answer.ends_with("0a600009")) << answer;
}

TEST_F(PodDns, WithoutAResolverAForeignNameFails) {
  Ask(kForeign);
  EXPECT_EQ(Answer().substr(0, 8), "12348182");
}

TEST_F(PodDns, AQuestionOfAPodThatIsNotAnnouncedWaitsAndADrainWaitsForIt) {
  mesh_.RemoveAddress(WorkloadOf("client", "node-a", client_).uid);
  mesh_.Commit();
  Ask(kOurs);
  auto drained =
      std::async(std::launch::async, [this] { node_a_->Drain(std::chrono::milliseconds(8000)); });
  while (testing::ListensOn(client_.netns, 15053)) std::this_thread::yield();
  EXPECT_EQ(drained.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  Announce(WorkloadOf("client", "node-a", client_));
  EXPECT_TRUE(Answer().ends_with("0a600009"));
  EXPECT_EQ(drained.wait_for(std::chrono::milliseconds(4000)), std::future_status::ready);
}

TEST_F(PodDns, AStoppedPodLetsGoOfAQuestionThatWaits) {
  mesh_.RemoveAddress(WorkloadOf("client", "node-a", client_).uid);
  mesh_.Commit();
  Ask(kOurs);
  node_a_->Stop("client-uid");
  EXPECT_TRUE(node_a_->List().empty());
}

}  // namespace
}  // namespace ambit::proxy
