#include "node-agent/cmd/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/http1/client.h"
#include "lib/http1/server.h"
#include "node-agent/reconcile/fake_effects.h"

namespace ambit::cmd {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr char kRandomUid[] = "11111111-1111-4111-8111-111111111111";

// The commands on a real socket; kernel and tunnels are fakes.
class CommandsTest : public testing::Test {
 protected:
  CommandsTest() {
    std::string pattern = "/tmp/ambit-cmd-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    std::thread([this] {
      if (unshare(CLONE_NEWNET) == 0) netns_ = std::move(net::OpenOwnNetns().value());
    }).join();
    netns_path_ = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(netns_.get());
    options_.host = net::IdentifyNetns(net::OpenOwnNetns()->get()).value();
    options_.pod_wait = milliseconds(100);
    options_.budget = milliseconds(200);
  }
  ~CommandsTest() override {
    // Connections end by themselves before the server does.
    if (server_ != nullptr) server_->Stop();
    do {
      io_.restart();
    } while (io_.run_one_for(milliseconds(5)) > 0);
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Start(bool synced = true) {
    view_ = std::make_unique<reconcile::MeshView>(
        io_, reconcile::MeshView::Options{k8s::MeshSelection::Default(), {}, "", options_.host},
        reconciler_, log_, [this] { reconciler_.Begin(); });
    commands_ =
        std::make_unique<Commands>(*view_, reconciler_, effects_, log_, registry_, options_);
    if (synced) Sync();
    auto server = http1::Server::ListenUnix(
        io_, folder_ + "/agent.sock", {},
        [this](http1::Request request) { return commands_->Handle(std::move(request)); });
    ASSERT_TRUE(server.has_value()) << server.error().message();
    server_ = std::move(*server);
  }
  void Sync() {
    auto object = std::make_shared<k8s::Namespace>();
    object->name = "shop";
    view_->OnNamespace(object);
    view_->OnSynced();
  }
  void AddPod(const std::string& mode, const std::string& uid = "u") {
    auto pod = std::make_shared<k8s::Pod>();
    pod->uid = uid;
    pod->namespace_name = "shop";
    pod->name = "web";
    pod->phase = k8s::PodPhase::kRunning;
    if (!mode.empty()) pod->labels["istio.io/dataplane-mode"] = mode;
    view_->OnPod(pod);
  }
  // `meanwhile` runs on the loop's thread after the request has been sent.
  http1::Response Post(const std::string& target, const std::string& body,
                       const std::function<void()>& meanwhile = {}) {
    http1::Request request;
    request.method = "POST";
    request.target = target;
    request.body = body;
    std::atomic<bool> done = false;
    Result<http1::Response> response = Fail(ErrorCode::kIo, "not run");
    std::thread client([&] {
      response = http1::CallUnix(folder_ + "/agent.sock", request, milliseconds(5000));
      done = true;
    });
    bool begun = false;
    while (!done) {
      io_.restart();
      io_.run_one_for(milliseconds(2));
      if (meanwhile && !begun && commands_->running() > 0) {
        begun = true;
        meanwhile();
      }
    }
    client.join();
    EXPECT_TRUE(response.has_value()) << response.error().message();
    return response ? *response : http1::Response{};
  }
  json Body(bool ambit) const {
    json body = {{"Netns", netns_path_},
                 {"PodName", "web"},
                 {"PodNamespace", "shop"},
                 {"IPs", json::array({{{"Address", {{"IP", "10.0.0.7"}, {"Mask", "//8AAA=="}}}}})}};
    if (ambit) {
      body["Ambit"] = 1;
      body["ContainerID"] = "c1";
      body["IfName"] = "eth0";
      body["PodUID"] = kRandomUid;
    }
    return body;
  }
  std::string Ours() const { return Body(true).dump(); }
  std::string Istios() const { return Body(false).dump(); }
  static json Parse(const http1::Response& response) {
    return json::parse(response.body, nullptr, false);
  }
  void ExpectRetry(const http1::Response& response, int status, bool retry,
                   const std::string& words) {
    EXPECT_EQ(response.status, status);
    json body = Parse(response);
    EXPECT_EQ(body.value("retry", !retry), retry) << response.body;
    EXPECT_THAT(body.value("error", ""), HasSubstr(words));
  }

  boost::asio::io_context io_{1};
  reconcile::FakeEffects effects_{io_};
  SystemClock clock_;
  observe::MemoryLog log_;
  prometheus::Registry registry_;
  reconcile::EnrolmentMetrics metrics_{registry_};
  reconcile::Reconciler reconciler_{io_, effects_, clock_, log_, metrics_, {}, [](const auto&) {}};
  std::unique_ptr<reconcile::MeshView> view_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<http1::Server> server_;
  Options options_;
  UniqueFd netns_;
  std::string netns_path_;
  std::string folder_;
};

TEST_F(CommandsTest, APodOutsideTheMeshIsToldSoAndItsNamespaceIsKept) {
  Start();
  effects_.tunnel_problem = "no tunnel";
  AddPod("");
  auto response = Post("/cmdadd", Ours());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Parse(response)["captured"], false);
  EXPECT_FALSE(Parse(response)["reason"].get<std::string>().empty());
  ASSERT_TRUE(reconciler_.Find("u")->sandbox.has_value());
  EXPECT_EQ(reconciler_.Find("u")->sandbox->container_id, "c1");
}

TEST_F(CommandsTest, ALabelledPodGetsAProgramAndIsServedAfterTheCommit) {
  Start();
  AddPod("ambient");
  json offer = Parse(Post("/cmdadd", Ours()));
  EXPECT_EQ(offer["captured"], true);
  EXPECT_FALSE(offer["program"]["transactions"].empty());
  EXPECT_FALSE(offer["undo"]["transactions"].empty());
  EXPECT_THAT(effects_.TakeCalls(), testing::IsEmpty());
  auto committed = Post("/cmdadd/commit", json{{"token", offer["token"]}}.dump());
  EXPECT_EQ(committed.status, 200);
  EXPECT_EQ(committed.body, "{}");
  EXPECT_THAT(effects_.TakeCalls(), testing::ElementsAre("add u", "probes 1"));
}

TEST_F(CommandsTest, ACommitThatTheTunnelRefusesMayBeTriedAgain) {
  Start();
  AddPod("ambient");
  effects_.fail["add u"] = 1;
  json offer = Parse(Post("/cmdadd", Ours()));
  auto refused = Post("/cmdadd/commit", json{{"token", offer["token"]}}.dump());
  ExpectRetry(refused, 500, true, "add u was refused");
}

TEST_F(CommandsTest, AnUnknownTokenIsAConflict) {
  Start();
  ExpectRetry(Post("/cmdadd/commit", R"({"token":"of an earlier agent"})"), 409, true, "token");
  ExpectRetry(Post("/cmdadd/commit", "junk"), 400, false, "JSON");
}

TEST_F(CommandsTest, AnAbortIsAlwaysFine) {
  Start();
  AddPod("ambient");
  json offer = Parse(Post("/cmdadd", Ours()));
  EXPECT_EQ(Post("/cmdadd/abort", json{{"token", offer["token"]}}.dump()).status, 200);
  EXPECT_FALSE(reconciler_.Find("u")->sandbox.has_value());
  EXPECT_EQ(Post("/cmdadd/abort", "junk").status, 200);
}

TEST_F(CommandsTest, APodThatTheSourceShowsLateIsWaitedFor) {
  options_.pod_wait = milliseconds(5000);
  Start();
  auto response = Post("/cmdadd", Ours(), [this] { AddPod("", kRandomUid); });
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Parse(response)["captured"], false);
}

TEST_F(CommandsTest, AnUnknownPodIsRefusedAfterAWhileAndNeverPassedUncaptured) {
  Start();
  ExpectRetry(Post("/cmdadd", Ours()), 503, true, "shop/web");
}

TEST_F(CommandsTest, AnEarlierPodOfTheSameNameIsNotTakenForThisOne) {
  Start();
  AddPod("", "22222222-2222-4222-8222-222222222222");
  ExpectRetry(Post("/cmdadd", Ours()), 503, true, "not yet with");
}

TEST_F(CommandsTest, BeforeTheSourceIsReadNothingIsDecided) {
  Start(/*synced=*/false);
  ExpectRetry(Post("/cmdadd", Ours()), 503, true, "not read all pods");
  auto status = Post("/status", "");
  ExpectRetry(status, 503, true, "not read all pods");
  EXPECT_EQ(Parse(status)["impaired"], false);
}

TEST_F(CommandsTest, ALabelledPodWithoutATunnelIsToldWhatIsMissing) {
  Start();
  AddPod("ambient");
  effects_.tunnel_problem = "no tunnel has been connected for 7 s";
  ExpectRetry(Post("/cmdadd", Ours()), 503, true, "for 7 s");
}

TEST_F(CommandsTest, ARequestThatWillBeWrongAgainIsNotToBeRetried) {
  Start();
  AddPod("ambient");
  json body = Body(true);
  body["Netns"] = "/run/netns/there-is-none";
  ExpectRetry(Post("/cmdadd", body.dump()), 400, false, "there-is-none");
  body["Netns"] = "/proc/self/ns/net";
  ExpectRetry(Post("/cmdadd", body.dump()), 400, false, "node's own");
  body["PodName"] = "";
  ExpectRetry(Post("/cmdadd", body.dump()), 400, false, "PodName");
}

TEST_F(CommandsTest, IstiosPluginGetsAnEmpty200) {
  Start();
  AddPod("ambient");
  auto response = Post("/cmdadd", Istios());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
  EXPECT_THAT(effects_.TakeCalls(), testing::ElementsAre("program", "add u", "probes 1"));
}

TEST_F(CommandsTest, IstiosPluginGetsA500WithTheTextAndALineEnd) {
  Start();
  AddPod("ambient");
  effects_.fail["program"] = 1;
  auto response = Post("/cmdadd", Istios());
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body, "program was refused\n");
  EXPECT_EQ(response.content_type, "text/plain; charset=utf-8");
}

TEST_F(CommandsTest, IstiosPluginMayNotEnrolAPodThatIsNotLabelled) {
  Start();
  AddPod("");
  auto response = Post("/cmdadd", Istios());
  EXPECT_EQ(response.status, 500);
  EXPECT_THAT(response.body, HasSubstr("not eligible"));
}

TEST_F(CommandsTest, ABodyThatIsNotJsonIsABadRequest) {
  Start();
  for (const char* body : {"", "{", "{} trailing", "[1]", R"({"Netns":1})"}) {
    EXPECT_EQ(Post("/cmdadd", body).status, 400) << body;
  }
}

TEST_F(CommandsTest, DelForgetsTheSandboxThatItNamesAndNoOther) {
  Start();
  AddPod("");
  Post("/cmdadd", Ours());
  json other = {{"ContainerID", "c0"}, {"IfName", "eth0"}, {"Netns", netns_path_}};
  EXPECT_EQ(Post("/cmddel", other.dump()).status, 200);
  EXPECT_TRUE(reconciler_.Find("u")->sandbox.has_value());
  json same = {{"ContainerID", "c1"}, {"IfName", "eth0"}, {"Netns", ""}};
  EXPECT_EQ(Post("/cmddel", same.dump()).status, 200);
  EXPECT_FALSE(reconciler_.Find("u")->sandbox.has_value());
  EXPECT_EQ(Post("/cmddel", "junk").status, 200);
}

TEST_F(CommandsTest, CheckNamesEveryProblem) {
  Start();
  AddPod("ambient");
  json offer = Parse(Post("/cmdadd", Ours()));
  Post("/cmdadd/commit", json{{"token", offer["token"]}}.dump());
  json good = Parse(Post("/cmdcheck", Ours()));
  EXPECT_EQ(good["captured"], true);
  EXPECT_TRUE(good["problems"].empty()) << good;
  effects_.differences = {"chain output is missing"};
  effects_.served.clear();
  effects_.tunnel_problem = "no tunnel";
  json bad = Parse(Post("/cmdcheck", Ours()));
  EXPECT_EQ(bad["problems"], json::array({"chain output is missing", "no tunnel"}));
}

TEST_F(CommandsTest, CheckOfAPodOutsideTheMeshHasNothingToSay) {
  Start();
  AddPod("");
  json answer = Parse(Post("/cmdcheck", Ours()));
  EXPECT_EQ(answer["captured"], false);
  EXPECT_TRUE(answer["problems"].empty());
}

TEST_F(CommandsTest, GarbageCollectionDropsWhatIsNeitherListedNorThere) {
  Start();
  AddPod("");
  Post("/cmdadd", Ours());
  EXPECT_EQ(Post("/cmdgc", R"({"ValidAttachments":[]})").status, 200);
  EXPECT_TRUE(reconciler_.Find("u")->sandbox.has_value()) << "its namespace still lives";
  netns_.Reset();
  EXPECT_EQ(Post("/cmdgc", R"({"ValidAttachments":[{"ContainerID":"c1"}]})").status, 200);
  EXPECT_TRUE(reconciler_.Find("u")->sandbox.has_value()) << "it is listed";
  EXPECT_EQ(Post("/cmdgc", R"({"ValidAttachments":[]})").status, 200);
  EXPECT_FALSE(reconciler_.Find("u")->sandbox.has_value());
  ExpectRetry(Post("/cmdgc", "{}"), 400, false, "ValidAttachments");
}

TEST_F(CommandsTest, StatusDoesNotNeedATunnelUnlessAskedTo) {
  options_.status_needs_tunnel = false;
  Start();
  effects_.tunnel_problem = "no tunnel";
  EXPECT_EQ(Post("/status", "").status, 200);
}

TEST_F(CommandsTest, StatusWithoutATunnelIsImpairedWhenItNeedsOne) {
  options_.status_needs_tunnel = true;
  Start();
  effects_.tunnel_problem = "no tunnel";
  auto response = Post("/status", "");
  ExpectRetry(response, 503, true, "no tunnel");
  EXPECT_EQ(Parse(response)["impaired"], true);
}

TEST_F(CommandsTest, AnythingElseIsNotFound) {
  Start();
  EXPECT_EQ(Post("/cmdmore", "{}").status, 404);
}

}  // namespace
}  // namespace ambit::cmd
