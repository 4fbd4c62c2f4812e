#include "cni-plugin/agent_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::cni {
namespace {

using ::testing::HasSubstr;

http1::Response Answer(int status, std::string body) {
  http1::Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

Failure AddFailure(int status, std::string body) {
  std::string token;
  auto answer = ReadAddAnswer(Answer(status, std::move(body)), token);
  EXPECT_FALSE(answer.has_value());
  return answer ? Failure{} : answer.error();
}

TEST(AgentMessages, TheAddBodyIsIstiosWithOurKeysBehind) {
  PodAddress address;
  address.address = *net::IpAddress::Parse("10.0.0.5");
  address.mask = Bytes{std::byte{255}, std::byte{255}, std::byte{0}, std::byte{0}};
  address.gateway = "10.0.0.1";
  Sandbox sandbox{.container_id = "c1",
                  .ifname = "eth0",
                  .netns = "/run/netns/p",
                  .pod = {.name = "web", .pod_namespace = "ns", .uid = "u"},
                  .addresses = {address}};
  EXPECT_EQ(AddBody(sandbox),
            R"({"Netns":"/run/netns/p","PodName":"web","PodNamespace":"ns","IPs":[)"
            R"({"Interface":null,"Address":{"IP":"10.0.0.5","Mask":"//8AAA=="},)"
            R"("Gateway":"10.0.0.1"}],"PodUID":"u","ContainerID":"c1","IfName":"eth0","Ambit":1})");
}

TEST(AgentMessages, NoAddressesAreNull) {
  EXPECT_THAT(AddBody(Sandbox{}), HasSubstr(R"("IPs":null)"));
}

TEST(AgentMessages, BytesThatAreNoUtf8DoNotBreakABody) {
  Sandbox sandbox;
  sandbox.pod.name = "a\xff";
  EXPECT_THAT(AddBody(sandbox), HasSubstr("\"a\xef\xbf\xbd\""));
}

TEST(AgentMessages, TheOtherBodiesNameWhatTheyAreAbout) {
  Sandbox sandbox;
  sandbox.container_id = "c1";
  EXPECT_EQ(DeleteBody(sandbox),
            R"({"ContainerID":"c1","IfName":"","Netns":"","PodName":"","PodNamespace":"",)"
            R"("PodUID":""})");
  EXPECT_EQ(TokenBody("t"), R"({"token":"t"})");
  EXPECT_EQ(GarbageBody({}), R"({"ValidAttachments":[]})");
  EXPECT_EQ(GarbageBody({{"c1", "eth0"}}),
            R"({"ValidAttachments":[{"ContainerID":"c1","IfName":"eth0"}]})");
}

TEST(AgentMessages, APodThatIsNotCapturedNeedsNothingMore) {
  std::string token;
  auto answer = ReadAddAnswer(Answer(200, R"({"captured": false, "reason": "no label"})"), token);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->capture.has_value());
  EXPECT_EQ(answer->reason, "no label");
}

TEST(AgentMessages, ACapturedPodComesWithItsPrograms) {
  std::string token;
  auto answer = ReadAddAnswer(Answer(200, R"({"captured": true, "token": "t",
      "program": {"transactions": []}, "undo": {"transactions": []}})"),
                              token);
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->capture->token, "t");
  EXPECT_EQ(token, "t");
}

TEST(AgentMessages, RetryDecidesTheCode) {
  EXPECT_EQ(AddFailure(503, R"({"error": "no tunnel", "retry": true})").code, CniCode::kTryLater);
  EXPECT_EQ(AddFailure(500, R"({"error": "never", "retry": false})").code, CniCode::kRefused);
  EXPECT_EQ(AddFailure(400, R"({"error": "bad", "retry": false})").code, CniCode::kBadConfig);
  EXPECT_EQ(AddFailure(400, R"({"error": "bad"})").code, CniCode::kTryLater);
  EXPECT_EQ(AddFailure(503, R"({"error": "no tunnel", "retry": true})").message,
            "ambit-agent answered 503: no tunnel");
}

TEST(AgentMessages, AnErrorThatIsNoJsonIsQuotedInPart) {
  EXPECT_EQ(AddFailure(500, "pod not found\n").message, "ambit-agent answered 500: pod not found");
  EXPECT_EQ(AddFailure(404, "").message, "ambit-agent answered 404: without saying why");
  EXPECT_LT(AddFailure(500, std::string(100000, 'x')).message.size(), 400u);
  EXPECT_EQ(AddFailure(500, R"({"error": 5, "retry": "no"})").code, CniCode::kTryLater);
}

TEST(AgentMessages, AnAnswerOfTheWrongShapeIsTryLater) {
  for (const char* body :
       {"", "null", "[]", "{}", R"({"captured": "yes"})", R"({"captured": true})",
        R"({"captured": true, "token": 5})", R"({"captured": true, "token": "t"})",
        R"({"captured": true, "token": "t", "program": {}})",
        R"({"captured": true, "token": "t", "program": {"transactions": []}})",
        R"({"captured": true, "token": "t", "program": [], "undo": {"transactions": []}})",
        R"({"captured": true, "token": "t", "program": {"transactions": []},
            "undo": {"transactions": [{"family": 99, "messages": []}]}})"}) {
    EXPECT_EQ(AddFailure(200, body).code, CniCode::kTryLater) << body;
  }
}

TEST(AgentMessages, AProgramThatCannotBeReadStillNamesItsToken) {
  std::string token;
  auto answer = ReadAddAnswer(Answer(200, R"({"captured": true, "token": "t7"})"), token);
  EXPECT_FALSE(answer.has_value());
  EXPECT_EQ(token, "t7");
}

TEST(AgentMessages, CheckCarriesItsProblems) {
  auto answer = ReadCheckAnswer(Answer(200, R"({"captured": true, "problems": ["a", "b"]})"));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->problems, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(ReadCheckAnswer(Answer(200, R"({"captured": true, "problems": null})")).has_value());
  EXPECT_FALSE(ReadCheckAnswer(Answer(200, R"({"captured": true, "problems": [1]})")).has_value());
  EXPECT_FALSE(ReadCheckAnswer(Answer(200, R"({"captured": true, "problems": "a"})")).has_value());
  EXPECT_FALSE(ReadCheckAnswer(Answer(200, "{}")).has_value());
}

TEST(AgentMessages, StatusTellsUnavailableFromImpaired) {
  EXPECT_TRUE(ReadStatusAnswer(Answer(200, R"({"ready": true})")).has_value());
  EXPECT_EQ(ReadStatusAnswer(Answer(503, R"({"error": "x", "impaired": true})")).error().code,
            CniCode::kImpaired);
  EXPECT_EQ(ReadStatusAnswer(Answer(503, R"({"error": "x", "impaired": false})")).error().code,
            CniCode::kUnavailable);
  EXPECT_EQ(ReadStatusAnswer(Answer(500, "")).error().code, CniCode::kUnavailable);
}

}  // namespace
}  // namespace ambit::cni
