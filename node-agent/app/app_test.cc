// The whole agent in namespaces of its own: a node, a pod, a folder of manifests, a tunnel that
// acknowledges, and the test as the plugin.

#include "node-agent/app/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/http1/client.h"
#include "lib/netlink/program.h"
#include "node-agent/app/fake_tunnel.h"
#include "node-agent/redirect/testing/netns_lab.h"

namespace ambit::agent {
namespace {

using nlohmann::json;
using redirect::TestNetns;
using std::chrono::milliseconds;

constexpr milliseconds kLong(10000);

class AppTest : public testing::Test {
 protected:
  AppTest() {
    std::string pattern = "/tmp/ambit-agent-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(folder_ + "/manifests");
    options_.manifests = folder_ + "/manifests";
    options_.agent_socket = folder_ + "/run/agent.sock";
    options_.zds_socket = folder_ + "/zds/zds.sock";
    options_.state_folder = folder_ + "/run";
    options_.selection = k8s::MeshSelection::Default();
    options_.monitoring_port = options_.health_port = 0;
    options_.verify_interval = milliseconds(0);
    Write("namespace", "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
  }
  ~AppTest() override {
    tunnel_.reset();
    Stop();
    std::filesystem::remove_all(folder_);
  }

  void Start() {
    std::promise<bool> opened;
    thread_ = std::thread([this, &opened] {
      node_.In([&] {
        auto app = App::Make(options_, log_);
        if (app) app_ = std::move(*app);
        opened.set_value(app.has_value());
        return app ? app_->Run().has_value() : false;
      });
    });
    ASSERT_TRUE(opened.get_future().get());
    ASSERT_TRUE(Eventually([this] { return Post("/status", {}).status == 200; }));
  }
  void Stop() {
    if (!thread_.joinable()) return;
    app_->RequestStop();
    thread_.join();
    app_.reset();
  }
  void Connect() { tunnel_ = std::make_unique<FakeTunnel>(options_.zds_socket); }

  template <typename Condition>
  static bool Eventually(Condition condition) {
    auto end = std::chrono::steady_clock::now() + kLong;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  void Write(const std::string& name, const std::string& text) {
    std::string partial = folder_ + "/partial";
    std::ofstream(partial) << text;
    std::filesystem::rename(partial, options_.manifests + "/" + name + ".yaml");
  }
  void WritePod(const std::string& mode, const std::string& annotations = "{}") {
    Write("pod",
          "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, uid: u-1, "
          "labels: {istio.io/dataplane-mode: \"" +
              mode + "\"}, annotations: " + annotations +
              "}, spec: {serviceAccountName: seller}, status: {phase: Running}}");
  }
  void WriteAnnotatedPod(const std::string& mode) {
    WritePod(mode, "{ambit.io/netns: \"" + pod_.path() + "\"}");
  }
  http1::Response Post(const std::string& target, const json& body) {
    http1::Request request;
    request.method = "POST";
    request.target = target;
    request.body = body.dump();
    auto response = http1::CallUnix(options_.agent_socket, request, kLong);
    if (response) return *response;
    http1::Response none;
    none.status = 0;
    none.body = response.error().message();
    return none;
  }
  json AddBody(bool ambit = true) const {
    json body = {{"Netns", pod_.path()},
                 {"PodName", "web"},
                 {"PodNamespace", "shop"},
                 {"IPs", json::array({{{"Address", {{"IP", "10.0.0.7"}}}}})}};
    if (ambit) {
      body.update({{"Ambit", 1}, {"ContainerID", "c1"}, {"IfName", "eth0"}});
    }
    return body;
  }
  bool Run(const json& program) const {
    auto parsed = netlink::FromJson(program.dump());
    return parsed && pod_.In([&parsed] { return netlink::Run(*parsed).has_value(); });
  }
  // As the plugin does it.
  int AddPod() {
    json offer = json::parse(Post("/cmdadd", AddBody()).body);
    if (!offer.value("captured", false) || !Run(offer["program"])) return 0;
    return Post("/cmdadd/commit", {{"token", offer["token"]}}).status;
  }
  std::vector<std::string> Differences() const {
    return pod_.In([this] { return redirect::FindDifferences(options_.redirect).value(); });
  }
  // Nothing of ours is left: what FindDifferences would call missing is missing.
  bool NoRules() const {
    return pod_.Shell("nft list tables; ip rule; ip -6 rule; ip route show table 100 2>&1 || true")
                   .find("ambit") == std::string::npos &&
           pod_.Shell("ip rule").find("32764") == std::string::npos;
  }
  std::set<net::IpAddress> Probed() const {
    return node_.In([this] {
      probes::ProbeSet set({.kubelet_uid = 0,
                            .ipv6 = true,
                            .probe_v4 = options_.redirect.probe_v4,
                            .probe_v6 = options_.redirect.probe_v6});
      return set.Read().value();
    });
  }
  bool LogSays(const std::string& text) {
    return Eventually([&] { return log_.text().find(text) != std::string::npos; });
  }
  net::NetnsId PodNetns() const { return net::IdentifyNetns(pod_.fd()).value(); }
  bool TunnelServesPod() const { return tunnel_->Netns("u-1") == PodNetns(); }

  TestNetns node_;
  TestNetns pod_;
  observe::MemoryLog log_;
  std::string folder_;
  Options options_;
  std::unique_ptr<App> app_;
  std::unique_ptr<FakeTunnel> tunnel_;
  std::thread thread_;
};

TEST_F(AppTest, AnAddIsProgrammedCommittedServedAndChecked) {
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  EXPECT_THAT(Differences(), testing::IsEmpty());
  EXPECT_TRUE(TunnelServesPod());
  EXPECT_EQ(tunnel_->Identity("u-1"), "shop/web/seller");
  EXPECT_THAT(Probed(), testing::ElementsAre(net::IpAddress::Parse("10.0.0.7").value()));
  json check = json::parse(Post("/cmdcheck", AddBody()).body);
  EXPECT_TRUE(check["problems"].empty()) << check;
  EXPECT_EQ(Post("/cmddel", AddBody()).status, 200);
  EXPECT_TRUE(Eventually([this] { return !tunnel_->Netns("u-1") && Probed().empty(); }));
}

TEST_F(AppTest, CheckSeesThatARuleIsMissing) {
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  pod_.Shell("nft flush table inet ambit");
  json check = json::parse(Post("/cmdcheck", AddBody()).body);
  EXPECT_FALSE(check["problems"].empty());
}

TEST_F(AppTest, ALabelThatComesGoesAndComesMovesARunningPod) {
  WritePod("none");
  Start();
  Connect();
  json answer = json::parse(Post("/cmdadd", AddBody()).body);
  EXPECT_EQ(answer["captured"], false);
  EXPECT_TRUE(NoRules());
  for (int round = 0; round < 2; ++round) {
    WritePod("ambient");
    ASSERT_TRUE(Eventually([this] { return TunnelServesPod() && !Probed().empty(); }));
    EXPECT_THAT(Differences(), testing::IsEmpty());
    WritePod("none");
    ASSERT_TRUE(Eventually([this] { return !tunnel_->Netns("u-1") && Probed().empty(); }));
    EXPECT_TRUE(NoRules());
  }
}

TEST_F(AppTest, ANamespaceNamedByTheManifestIsEnough) {
  WriteAnnotatedPod("ambient");
  Start();
  Connect();
  EXPECT_TRUE(Eventually([this] { return TunnelServesPod(); })) << log_.text();
  EXPECT_THAT(Differences(), testing::IsEmpty());
}

TEST_F(AppTest, IstiosPluginHasTheAgentEnterTheNamespace) {
  WritePod("ambient");
  Start();
  Connect();
  auto response = Post("/cmdadd", AddBody(/*ambit=*/false));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body, "");
  EXPECT_THAT(Differences(), testing::IsEmpty());
  EXPECT_TRUE(TunnelServesPod());
}

TEST_F(AppTest, ARefusalOfTheTunnelFailsTheCommitWithItsWords) {
  WritePod("ambient");
  Start();
  Connect();
  tunnel_->Refuse("no ports left");
  json offer = json::parse(Post("/cmdadd", AddBody()).body);
  ASSERT_TRUE(Run(offer["program"]));
  auto refused = Post("/cmdadd/commit", {{"token", offer["token"]}});
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, testing::HasSubstr("no ports left"));
  ASSERT_TRUE(Run(offer["undo"]));
  EXPECT_TRUE(NoRules());
}

TEST_F(AppTest, ARestartedAgentKnowsItsPodsAndTouchesNothingThatIsRight) {
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  std::string handles = pod_.Shell("nft -a list table inet ambit");
  Stop();
  EXPECT_THAT(Differences(), testing::IsEmpty()) << "rules stay while the agent is away";
  EXPECT_FALSE(Probed().empty());
  Start();
  Connect();
  EXPECT_TRUE(Eventually([this] { return TunnelServesPod() && tunnel_->snapshot_done(); }));
  EXPECT_EQ(pod_.Shell("nft -a list table inet ambit"), handles);
  EXPECT_THAT(tunnel_->Order(), testing::ElementsAre("add u-1", "snapshot"));
  EXPECT_FALSE(Probed().empty());
}

TEST_F(AppTest, ARestartedAgentRepairsRulesThatWereChanged) {
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  Stop();
  pod_.Shell("nft delete table inet ambit");
  Start();
  EXPECT_TRUE(Eventually([this] { return Differences().empty(); })) << log_.text();
}

TEST_F(AppTest, APodUnlabelledWhileTheAgentWasAwayIsTakenOut) {
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  Stop();
  WritePod("none");
  Start();
  EXPECT_TRUE(Eventually([this] { return NoRules() && Probed().empty(); })) << log_.text();
}

TEST_F(AppTest, DriftIsRepairedWhileTheAgentRuns) {
  options_.verify_interval = milliseconds(20);
  WriteAnnotatedPod("ambient");
  Start();
  Connect();
  ASSERT_TRUE(Eventually([this] { return TunnelServesPod(); })) << log_.text();
  pod_.Shell("nft flush table inet ambit; ip rule del pref 32764");
  EXPECT_TRUE(Eventually([this] { return Differences().empty(); })) << log_.text();
  EXPECT_THAT(log_.text(), testing::HasSubstr("differ and are repaired"));
}

TEST_F(AppTest, ATableThatSomebodyDeletedComesBackAndTheLogSaysWhatWasMissing) {
  options_.verify_interval = milliseconds(20);
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  std::string before = pod_.Shell("nft -s list table inet ambit");
  pod_.Shell("nft delete table inet ambit");
  ASSERT_TRUE(Eventually([this] { return Differences().empty(); })) << log_.text();
  EXPECT_EQ(pod_.Shell("nft -s list table inet ambit"), before);
  EXPECT_TRUE(LogSays("table inet ambit is missing")) << log_.text();
  EXPECT_TRUE(LogSays("rules of a running pod are as they should be again")) << log_.text();
  EXPECT_TRUE(TunnelServesPod());
}

TEST_F(AppTest, AChainThatSomebodyPutIntoTheTableGoes) {
  options_.verify_interval = milliseconds(20);
  WritePod("ambient");
  Start();
  Connect();
  ASSERT_EQ(AddPod(), 200) << log_.text();
  pod_.Shell("nft add chain inet ambit mine '{ type filter hook output priority -300; }'");
  EXPECT_TRUE(Eventually([this] { return Differences().empty(); })) << log_.text();
  EXPECT_TRUE(LogSays("chain mine is not ours")) << log_.text();
}

TEST_F(AppTest, ATunnelThatComesBackGetsTheWholeSnapshot) {
  WriteAnnotatedPod("ambient");
  Start();
  Connect();
  ASSERT_TRUE(Eventually([this] { return TunnelServesPod(); })) << log_.text();
  tunnel_.reset();
  Connect();
  EXPECT_TRUE(Eventually([this] { return TunnelServesPod() && tunnel_->snapshot_done(); }));
}

TEST_F(AppTest, ASecondAgentOnTheSameSocketsIsRefused) {
  Start();
  auto second = node_.In([this] { return App::Make(options_, log_); });
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
}

TEST_F(AppTest, AFolderThatIsNotThereIsAnErrorWithItsName) {
  options_.manifests = folder_ + "/none";
  auto ran = node_.In([this]() -> Result<void> {
    auto app = App::Make(options_, log_);
    if (!app) return Fail(app.error());
    return (*app)->Run();
  });
  ASSERT_FALSE(ran.has_value());
  EXPECT_THAT(ran.error().message(), testing::HasSubstr(folder_ + "/none"));
}

}  // namespace
}  // namespace ambit::agent
