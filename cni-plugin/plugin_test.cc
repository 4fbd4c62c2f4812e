#include "cni-plugin/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>

namespace ambit::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::ordered_json;

constexpr const char* kEmptyProgram = R"({"transactions": []})";
// Stands apart from the empty one: a program with one (empty) transaction.
constexpr const char* kUndoProgram = R"({"transactions": [{"family": 0, "messages": []}]})";
constexpr const char* kConfig =
    R"({"cniVersion": "1.1.0", "name": "mesh", "type": "ambit-cni",
        "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.0.0.5/24"}]}})";

std::string Captured() {
  return std::string(R"({"captured": true, "token": "t", "program": )") + kEmptyProgram +
         R"(, "undo": )" + kUndoProgram + "}";
}

// Everything that happens to the outside, in order.
class FakeWorld : public Transport, public Kernel, public Clock {
 public:
  std::deque<Result<http1::Response>> answers;
  std::vector<std::string> events;
  std::vector<std::string> bodies;
  std::vector<std::chrono::milliseconds> timeouts;
  std::deque<Result<void>> runs;
  bool netns_exists = true;
  bool netns_is_own = false;
  Environment environment{{{"CNI_COMMAND", "ADD"},
                           {"CNI_CONTAINERID", "c1"},
                           {"CNI_NETNS", "/run/netns/p"},
                           {"CNI_IFNAME", "eth0"},
                           {"CNI_PATH", "/opt/cni/bin"},
                           {"CNI_ARGS", "K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web"}}};
  std::string config = kConfig;

  void Answer(int status, std::string body) {
    http1::Response response;
    response.status = status;
    response.body = std::move(body);
    answers.emplace_back(std::move(response));
  }

  void Set(const std::string& name, const std::string& value) {
    Environment::Map all = environment.all();
    all[name] = value;
    environment = Environment(std::move(all));
  }

  Output Run(const char* command = "ADD") {
    Set("CNI_COMMAND", command);
    return RunPlugin({.environment = environment,
                      .read_config = [this]() -> Result<std::string> { return config; },
                      .transport = *this,
                      .kernel = *this,
                      .clock = *this});
  }

  Result<http1::Response> Call(const std::string&, const http1::Request& request,
                               std::chrono::milliseconds timeout, OnStop) override {
    events.push_back(request.target);
    bodies.push_back(request.body);
    timeouts.push_back(timeout);
    now += std::chrono::milliseconds(100);
    if (answers.empty()) return Fail(ErrorCode::kNotFound, "connect: no such file");
    auto answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
  Result<UniqueFd> OpenNetns(const std::string& path) override {
    if (netns_exists) return UniqueFd();
    return Fail(ErrorCode::kNotFound, "open " + path);
  }
  Result<bool> IsOwnNetns(int) override { return netns_is_own; }
  Result<void> RunIn(int, const netlink::Program& program) override {
    events.push_back(program.transactions.empty() ? "program" : "undo");
    if (runs.empty()) return {};
    auto result = std::move(runs.front());
    runs.pop_front();
    return result;
  }
  std::chrono::system_clock::time_point Now() const override { return {}; }
  std::chrono::steady_clock::time_point Steady() const override { return now; }

  std::chrono::steady_clock::time_point now;
};

void ExpectFailure(const Output& output, int code, const std::string& part) {
  EXPECT_EQ(output.exit_code, 1);
  Json json = Json::parse(output.standard_out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << output.standard_out;
  EXPECT_EQ(json["code"], code) << output.standard_out;
  EXPECT_THAT(json["msg"].get<std::string>() + json.value("details", ""), HasSubstr(part));
  EXPECT_TRUE(json["cniVersion"].is_string());
  EXPECT_EQ(std::ranges::count(output.standard_error, '\n'), 1);
}

TEST(Add, ACapturedPodIsAskedForProgrammedAndCommitted) {
  FakeWorld world;
  world.Answer(200, Captured());
  world.Answer(200, "{}");
  Output output = world.Run();
  EXPECT_EQ(output.exit_code, 0) << output.standard_out;
  EXPECT_THAT(world.events, ElementsAre("/cmdadd", "program", "/cmdadd/commit"));
  EXPECT_EQ(world.bodies[1], R"({"token":"t"})");
  EXPECT_EQ(Json::parse(output.standard_out)["ips"][0]["address"], "10.0.0.5/24");
  EXPECT_EQ(output.standard_error, "");
}

TEST(Add, AskingAndCommittingShareOneDeadline) {
  FakeWorld world;
  world.config = R"({"cniVersion": "1.1.0", "name": "mesh", "agent_timeout_ms": 1000})";
  world.Answer(200, Captured());
  world.Answer(200, "{}");
  world.Run();
  EXPECT_THAT(world.timeouts,
              ElementsAre(std::chrono::milliseconds(1000), std::chrono::milliseconds(900)));
}

TEST(Add, APodThatIsNotCapturedIsLeftAlone) {
  FakeWorld world;
  world.Answer(200, R"({"captured": false, "reason": "no label"})");
  EXPECT_EQ(world.Run().exit_code, 0);
  EXPECT_THAT(world.events, ElementsAre("/cmdadd"));
}

TEST(Add, OutsideKubernetesTheAgentIsNotAsked) {
  FakeWorld world;
  world.Set("CNI_ARGS", "");
  Output output = world.Run();
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_THAT(world.events, IsEmpty());
  EXPECT_TRUE(Json::parse(output.standard_out).contains("ips"));
}

TEST(Add, WithoutTheAgentAPodWaits) {
  FakeWorld world;
  ExpectFailure(world.Run(), 11, "/run/ambit/agent.sock; start ambit-agent on this node");
}

TEST(Add, AProgramThatFailsIsUndoneAndGivenBack) {
  FakeWorld world;
  world.Answer(200, Captured());
  world.Answer(200, "{}");
  world.runs.emplace_back(Fail(ErrorCode::kPermissionDenied, "add table: not permitted"));
  ExpectFailure(world.Run(), 11, "add table: not permitted");
  EXPECT_THAT(world.events, ElementsAre("/cmdadd", "program", "undo", "/cmdadd/abort"));
}

TEST(Add, ACommitThatIsRefusedIsUndone) {
  FakeWorld world;
  world.Answer(200, Captured());
  world.Answer(409, R"({"error": "unknown token", "retry": true})");
  ExpectFailure(world.Run(), 11, "unknown token");
  EXPECT_THAT(world.events,
              ElementsAre("/cmdadd", "program", "/cmdadd/commit", "undo", "/cmdadd/abort"));
}

TEST(Add, AnAgentThatDiesBeforeTheCommitIsUndoneToo) {
  FakeWorld world;
  world.Answer(200, Captured());
  ExpectFailure(world.Run(), 11, "no such file");
  EXPECT_THAT(world.events,
              ElementsAre("/cmdadd", "program", "/cmdadd/commit", "undo", "/cmdadd/abort"));
}

TEST(Add, ACommitRefusedForGoodIsStillTryLater) {
  FakeWorld world;
  world.Answer(200, Captured());
  world.Answer(500, R"({"error": "no", "retry": false})");
  ExpectFailure(world.Run(), 11, "no");
}

TEST(Add, AnUndoThatFailsIsSaid) {
  FakeWorld world;
  world.Answer(200, Captured());
  world.runs.emplace_back();
  world.runs.emplace_back(Fail(ErrorCode::kIo, "delete table: busy"));
  ExpectFailure(world.Run(), 11, "could not be taken out again: delete table: busy");
}

TEST(Add, AnAnswerWithATokenButNoProgramIsGivenBackUnused) {
  FakeWorld world;
  world.Answer(200, R"({"captured": true, "token": "t"})");
  ExpectFailure(world.Run(), 11, "\"program\"");
  EXPECT_THAT(world.events, ElementsAre("/cmdadd", "/cmdadd/abort"));
}

TEST(Add, TheNamespaceMustExistAndBeAnother) {
  FakeWorld world;
  world.netns_exists = false;
  ExpectFailure(world.Run(), 8, "/run/netns/p");
  FakeWorld own;
  own.netns_is_own = true;
  ExpectFailure(own.Run(), 8, "of the runtime itself");
  EXPECT_THAT(own.events, IsEmpty());
  own.Set("CNI_NETNS_OVERRIDE", "1");
  own.Answer(200, R"({"captured": false})");
  EXPECT_EQ(own.Run().exit_code, 0);
}

TEST(Add, ErrorsCarryTheConfigurationsVersion) {
  FakeWorld world;
  world.config = R"({"cniVersion": "0.3.1", "name": "mesh"})";
  EXPECT_EQ(Json::parse(world.Run().standard_out)["cniVersion"], "0.3.1");
}

TEST(Del, TellsTheAgentAndPrintsNothing) {
  FakeWorld world;
  world.netns_exists = false;
  world.Answer(200, "{}");
  Output output = world.Run("DEL");
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_EQ(output.standard_out, "");
  EXPECT_THAT(world.events, ElementsAre("/cmddel"));
  EXPECT_EQ(world.timeouts[0], std::chrono::milliseconds(2000));
}

TEST(Del, SucceedsWithoutTheAgentAndSaysSo) {
  FakeWorld world;
  Output output = world.Run("DEL");
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_THAT(output.standard_error, HasSubstr("no such file"));
}

TEST(Del, SucceedsWithABrokenPrevResultAndBrokenArguments) {
  FakeWorld world;
  world.config = R"({"cniVersion": "1.1.0", "name": "mesh", "prevResult": {"ips": 5}})";
  world.Set("CNI_ARGS", "garbage");
  world.Answer(200, "{}");
  EXPECT_EQ(world.Run("DEL").exit_code, 0);
  EXPECT_THAT(world.events, ElementsAre("/cmddel"));
}

TEST(Check, PassesWhenTheAgentFindsNoProblem) {
  FakeWorld world;
  world.Answer(200, R"({"captured": true, "problems": []})");
  Output output = world.Run("CHECK");
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_EQ(output.standard_out, "");
  EXPECT_THAT(world.events, ElementsAre("/cmdcheck"));
}

TEST(Check, ProblemsAreSaidInSentences) {
  FakeWorld world;
  world.Answer(200, R"({"captured": true, "problems": ["table is missing", "no route"]})");
  ExpectFailure(world.Run("CHECK"), 100, "table is missing; no route");
}

TEST(Check, NeedsThePrevResult) {
  FakeWorld world;
  world.config = R"({"cniVersion": "1.1.0", "name": "mesh"})";
  ExpectFailure(world.Run("CHECK"), 7, "prevResult");
}

TEST(Gc, TheValidAttachmentsReachTheAgent) {
  FakeWorld world;
  world.config = R"({"cniVersion": "1.1.0", "name": "mesh",
      "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]})";
  world.Answer(200, "{}");
  EXPECT_EQ(world.Run("GC").exit_code, 0);
  EXPECT_THAT(world.bodies[0], HasSubstr("c1"));
}

TEST(Gc, WithoutAListNothingIsGarbage) {
  FakeWorld world;
  EXPECT_EQ(world.Run("GC").exit_code, 0);
  EXPECT_THAT(world.events, IsEmpty());
}

TEST(Status, ReadyUnavailableAndImpairedAreToldApart) {
  FakeWorld world;
  world.Answer(200, R"({"ready": true})");
  EXPECT_EQ(world.Run("STATUS").exit_code, 0);
  ExpectFailure(world.Run("STATUS"), 50, "no such file");
  world.Answer(503, R"({"error": "no tunnel", "impaired": true})");
  ExpectFailure(world.Run("STATUS"), 51, "no tunnel");
}

TEST(Commands, ExistOnlySinceTheirVersion) {
  FakeWorld world;
  world.config = R"({"cniVersion": "0.3.1", "name": "mesh", "prevResult": {}})";
  ExpectFailure(world.Run("CHECK"), 1, "since CNI 0.4.0");
  ExpectFailure(world.Run("GC"), 1, "since CNI 1.1.0");
  ExpectFailure(world.Run("STATUS"), 1, "since CNI 1.1.0");
}

TEST(Commands, VersionListsWhatWeSpeakWithoutReadingStdin) {
  FakeWorld world;
  world.config = "garbage";
  EXPECT_EQ(world.Run("VERSION").standard_out,
            "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\","
            "\"1.0.0\",\"1.1.0\"]}\n");
}

TEST(Commands, NoCommandPrintsTheUsageOnStderr) {
  FakeWorld world;
  Output output = world.Run("");
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_EQ(output.standard_out, "");
  EXPECT_THAT(output.standard_error, HasSubstr("0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"));
}

TEST(Commands, AStdinThatCannotBeReadIsAnIoError) {
  FakeWorld world;
  Output output = RunPlugin({.environment = world.environment,
                             .read_config = []() -> Result<std::string> {
                               return Fail(ErrorCode::kIo, "read stdin: bad descriptor");
                             },
                             .transport = world,
                             .kernel = world,
                             .clock = world});
  ExpectFailure(output, 5, "bad descriptor");
}

}  // namespace
}  // namespace ambit::cni
