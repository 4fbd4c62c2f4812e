#include "node-agent/cmd/request.h"

#include <gtest/gtest.h>

namespace ambit::cmd {
namespace {

TEST(Request, IstiosBodyIsRead) {
  auto request = ParsePodRequest(
      R"({"Netns":"/var/run/netns/cni-1","PodName":"web","PodNamespace":"shop","IPs":[)"
      R"({"Interface":0,"Address":{"IP":"10.0.0.7","Mask":"//8AAA=="},"Gateway":"10.0.0.1"},)"
      R"({"Interface":null,"Address":{"IP":"::ffff:10.0.0.8","Mask":null},"Gateway":""}]})");
  ASSERT_TRUE(request.has_value()) << request.error().message();
  EXPECT_EQ(request->netns, "/var/run/netns/cni-1");
  EXPECT_EQ(request->Key(), "shop/web");
  ASSERT_EQ(request->ips.size(), 2u);
  EXPECT_EQ(request->ips[1].ToString(), "10.0.0.8");
  EXPECT_FALSE(request->ambit);
}

TEST(Request, NoAddressesMayBeNullOrAbsent) {
  EXPECT_TRUE(ParsePodRequest(R"({"IPs":null})")->ips.empty());
  EXPECT_TRUE(ParsePodRequest("{}")->ips.empty());
}

TEST(Request, KeysAreComparedWithoutCase) {
  auto request = ParsePodRequest(R"({"netns":"/n","PODNAME":"web","ambit":1,"containerid":"c"})");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->netns, "/n");
  EXPECT_EQ(request->pod_name, "web");
  EXPECT_EQ(request->container_id, "c");
  EXPECT_TRUE(request->ambit);
}

TEST(Request, EverythingElseIsRefusedWithASentence) {
  for (const char* body :
       {"", "{", "[]", "null", "7", "{} x", "{}{}", R"({"Netns":5})", R"({"IPs":{}})",
        R"({"IPs":[7]})", R"({"IPs":[{}]})", R"({"IPs":[{"Address":{"IP":"ten"}}]})",
        R"({"IPs":[{"Address":"10.0.0.7/24"}]})", R"({"Ambit":"yes"})", "\xff"}) {
    auto request = ParsePodRequest(body);
    ASSERT_FALSE(request.has_value()) << body;
    EXPECT_EQ(request.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_FALSE(request.error().message().empty());
  }
}

TEST(Request, TokensAndAttachmentsAreRead) {
  EXPECT_EQ(ParseToken(R"({"token":"t"})").value(), "t");
  auto attachments =
      ParseValidAttachments(R"({"ValidAttachments":[{"ContainerID":"c","IfName":"eth0"}]})");
  ASSERT_EQ(attachments->size(), 1u);
  EXPECT_EQ((*attachments)[0].container_id, "c");
  EXPECT_EQ((*attachments)[0].ifname, "eth0");
}

TEST(Request, AMissingListOfAttachmentsIsNotAnEmptyOne) {
  EXPECT_FALSE(ParseValidAttachments("{}").has_value());
  EXPECT_FALSE(ParseValidAttachments(R"({"ValidAttachments":null})").has_value());
  EXPECT_TRUE(ParseValidAttachments(R"({"ValidAttachments":[]})").has_value());
}

TEST(Request, OnlyTwoUidsOfTheApiServerTellPodsApart) {
  std::string one = "11111111-1111-4111-8111-111111111111";
  std::string other = "22222222-2222-4222-8222-222222222222";
  std::string derived = "22222222-2222-5222-8222-222222222222";
  EXPECT_TRUE(MayBeSamePod(one, one));
  EXPECT_FALSE(MayBeSamePod(one, other));
  EXPECT_TRUE(MayBeSamePod("", other));
  EXPECT_TRUE(MayBeSamePod(one, derived));
  EXPECT_TRUE(MayBeSamePod("4bd5d06fbcd6fbd7c2b0e5a5ab1d1b33", other));
}

}  // namespace
}  // namespace ambit::cmd
