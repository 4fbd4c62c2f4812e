#include "lib/netlink/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <cstring>

namespace ambit::netlink {
namespace {

using ::testing::HasSubstr;

Message MakeMessage(std::string name, size_t payload) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + payload);
  header.nlmsg_type = 24;
  Message message{.name = std::move(name), .bytes = Bytes(header.nlmsg_len), .tolerated = {}};
  std::memcpy(message.bytes.data(), &header, sizeof(header));
  return message;
}

Program TwoTransactions() {
  Program program;
  Message begin = MakeMessage("begin", 4);
  begin.acknowledged = false;
  Message add = MakeMessage("add \"it\"", 5);
  add.tolerated = {17, 95};
  program.transactions.push_back({NETLINK_NETFILTER, {begin, MakeMessage("", 0)}});
  program.transactions.push_back({NETLINK_ROUTE, {add}});
  return program;
}

std::string ErrorOf(std::string_view text) {
  auto parsed = FromJson(text);
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument);
  return parsed.error().message();
}

// One message in one transaction of family 0.
std::string WithMessage(const std::string& fields) {
  return R"({"transactions":[{"family":0,"messages":[{)" + fields + "}]}]}";
}

constexpr char kHeaderOnly[] = R"("bytes":"EAAAAAAAAAAAAAAAAAAAAA==")";

TEST(ProgramJson, ARoundTripKeepsEverything) {
  const Program program = TwoTransactions();
  auto parsed = FromJson(ToJson(program));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
  EXPECT_EQ(*parsed, program);
}

TEST(ProgramJson, DefaultsAreLeftOutOfTheText) {
  Program program;
  program.transactions.push_back({NETLINK_ROUTE, {MakeMessage("x", 0)}});
  EXPECT_EQ(ToJson(program),
            R"({"transactions":[{"family":0,"messages":[{"bytes":"EAAAABgAAAAAAAAAAAAAAA==",)"
            R"("name":"x"}]}]})");
}

TEST(ProgramJson, UnknownKeysAreIgnored) {
  EXPECT_EQ(ErrorOf(WithMessage(std::string(kHeaderOnly) + R"(,"later":{"a":1})")), "accepted");
}

TEST(ProgramJson, ANameThatIsNoUtf8IsStillWritten) {
  Program program;
  program.transactions.push_back({NETLINK_ROUTE, {MakeMessage("\xff", 0)}});
  EXPECT_THAT(ToJson(program), HasSubstr("\xEF\xBF\xBD"));
}

TEST(ProgramJson, EveryWrongShapeIsRefusedWithItsPlace) {
  EXPECT_THAT(ErrorOf("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("no list named transactions"));
  EXPECT_THAT(ErrorOf(R"({"transactions":{}})"), HasSubstr("no list named transactions"));
  EXPECT_THAT(ErrorOf(R"({"transactions":[1]})"), HasSubstr("transactions[0] is not an object"));
  EXPECT_THAT(ErrorOf(R"({"transactions":[{"family":"0"}]})"), HasSubstr("transactions[0].family"));
  EXPECT_THAT(ErrorOf(R"({"transactions":[{"family":-1}]})"), HasSubstr(".family"));
  EXPECT_THAT(ErrorOf(R"({"transactions":[{"family":0}]})"), HasSubstr(".messages is not a list"));
  EXPECT_THAT(ErrorOf(R"({"transactions":[{"family":0,"messages":[7]}]})"),
              HasSubstr("messages[0] is not an object"));
  EXPECT_THAT(ErrorOf(WithMessage(R"("name":1,"bytes":"")")), HasSubstr(".name is not a string"));
  EXPECT_THAT(ErrorOf(WithMessage("")), HasSubstr(".bytes is not a string"));
  EXPECT_THAT(ErrorOf(WithMessage(R"("bytes":"%")")), HasSubstr("messages[0].bytes: "));
  const std::string header = kHeaderOnly;
  EXPECT_THAT(ErrorOf(WithMessage(header + R"(,"tolerated":17)")), HasSubstr(".tolerated"));
  EXPECT_THAT(ErrorOf(WithMessage(header + R"(,"tolerated":["17"])")), HasSubstr("no integer"));
  EXPECT_THAT(ErrorOf(WithMessage(header + R"(,"tolerated":[0])")), HasSubstr("no errno"));
  EXPECT_THAT(ErrorOf(WithMessage(header + R"(,"tolerated":[4294967313])")), HasSubstr("no errno"));
  EXPECT_THAT(ErrorOf(WithMessage(header + R"(,"acknowledged":1)")), HasSubstr(".acknowledged"));
}

TEST(ProgramJson, OnlyTheTwoFamiliesAreAllowed) {
  EXPECT_THAT(ErrorOf(R"({"transactions":[{"family":16,"messages":[]}]})"),
              HasSubstr("netlink family 16"));
}

TEST(ProgramJson, AHeaderThatDisagreesWithItsLengthIsRefused) {
  EXPECT_THAT(ErrorOf(WithMessage(R"("bytes":"EQAAAAAAAAAAAAAAAAAAAA==")")),
              HasSubstr("has 16 bytes but its header says 17"));
  EXPECT_THAT(ErrorOf(WithMessage(R"("bytes":"EAAAAA==")")),
              HasSubstr("shorter than a netlink header"));
}

TEST(ProgramJson, BoundsHoldForAProgramMadeHereToo) {
  Program program;
  program.transactions.resize(17);
  EXPECT_THAT(Check(program).error().message(), HasSubstr("at most 16"));
  EXPECT_FALSE(netlink::Run(program).has_value());
  EXPECT_THAT(ErrorOf(ToJson(program)), HasSubstr("at most 16"));

  program.transactions.assign(1, {NETLINK_ROUTE, {}});
  program.transactions[0].messages.assign(513, MakeMessage("m", 0));
  EXPECT_THAT(ErrorOf(ToJson(program)), HasSubstr("more than 512 messages"));

  program.transactions[0].messages.assign(1, MakeMessage("m", size_t{64} * 1024));
  EXPECT_THAT(ErrorOf(ToJson(program)), HasSubstr("longer than 64 KiB"));
  EXPECT_THAT(ErrorOf(std::string(17 * 1024 * 1024, ' ')), HasSubstr("longer than 16 MiB"));
}

}  // namespace
}  // namespace ambit::netlink
