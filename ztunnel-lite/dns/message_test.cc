#include "ztunnel-lite/dns/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/dns/testing/decoded.h"

namespace ambit::dns {
namespace {

using testing::Decoded;
using testing::Encode;
using testing::Hex;

net::IpAddress Ip(const std::string& text) { return net::IpAddress::Parse(text).value(); }

// Asks, answers, decodes.
Decoded RoundTrip(const testing::Question& question, const Reply& reply) {
  const Bytes asked = Encode(question);
  auto query = ParseQuery(asked);
  EXPECT_TRUE(query);
  auto edns = ParseEdns(*query);
  EXPECT_TRUE(edns);
  return Decoded(EncodeReply(*query, reply, *edns, UdpLimit(*edns)));
}

Reply Addresses(size_t count) {
  Reply reply{.authoritative = true};
  for (size_t i = 0; i < count; ++i) {
    reply.addresses.push_back(
        Ip("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256)));
  }
  return reply;
}

TEST(Query, HasNameTypeAndClass) {
  const Bytes asked = Encode({.name = "WeB.Demo.", .type = kTypeAaaa, .id = 7});
  auto query = ParseQuery(asked);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->id(), 7);
  EXPECT_EQ(query->name, "web.demo");
  EXPECT_EQ(query->type, kTypeAaaa);
  EXPECT_TRUE(query->IsForAddress());
  EXPECT_EQ(query->question_end, asked.size());
}

TEST(Query, TheRootHasAnEmptyName) {
  const Bytes asked = Encode({.name = "."});
  auto query = ParseQuery(asked);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->name, "");
}

TEST(Query, ALabelWithADotInsideIsNoHostname) {
  const Bytes asked = Hex("0001 0100 0001 0000 0000 0000 03 612e62 00 0001 0001");
  auto query = ParseQuery(asked);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->name, "");
  EXPECT_EQ(query->type, kTypeA);
}

TEST(Query, AnswersAndScrapsAreNotQueries) {
  EXPECT_EQ(ParseQuery({}).error(), Fault::kNotAQuery);
  EXPECT_EQ(ParseQuery(Hex("0001 0100 0001 0000 0000 00")).error(), Fault::kNotAQuery);
  EXPECT_EQ(ParseQuery(Hex("0001 8100 0001 0000 0000 0000 00 0001 0001")).error(),
            Fault::kNotAQuery);
}

TEST(Query, AQuestionThatDoesNotDecodeIsMalformed) {
  const std::string header = "0001 0100 0001 0000 0000 0000 ";
  std::string long_name;
  for (int i = 0; i < 128; ++i) long_name += "0161";
  for (const std::string& question :
       {std::string(""), std::string("03 6161"), std::string("03 616161"),
        std::string("03 616161 00 0001 00"), std::string("c00c 0001 0001"), std::string("40 61"),
        long_name + "00 0001 0001"}) {
    EXPECT_EQ(ParseQuery(Hex(header + question)).error(), Fault::kMalformed) << question;
  }
}

TEST(Query, TwoQuestionsAreMalformed) {
  auto query = ParseQuery(Hex("0001 0100 0002 0000 0000 0000 0161 00 0001 0001 0162 00 0001 0001"));
  EXPECT_EQ(query.error(), Fault::kMalformed);
}

TEST(Query, AnUpdateIsNotLookedInto) {
  auto query = ParseQuery(Hex("0001 2800 0001 0000 0001 0000 ff"));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->opcode, 5);
  EXPECT_FALSE(query->IsForAddress());
}

TEST(Query, NoQuestionAtAllIsFine) {
  auto query = ParseQuery(Hex("0001 0100 0000 0000 0000 0000"));
  ASSERT_TRUE(query);
  EXPECT_FALSE(query->IsForAddress());
}

TEST(Edns, IsWhatTheClientSays) {
  const Bytes asked = Encode({.name = "web.", .udp_bytes = 1400, .dnssec_ok = true});
  auto edns = ParseEdns(ParseQuery(asked).value());
  ASSERT_TRUE(edns && *edns);
  EXPECT_EQ((*edns)->udp_bytes, 1400);
  EXPECT_EQ((*edns)->version, 0);
  EXPECT_TRUE((*edns)->dnssec_ok);
}

TEST(Edns, IsAbsentFromAPlainQuestion) {
  const Bytes asked = Encode({.name = "web."});
  auto edns = ParseEdns(ParseQuery(asked).value());
  ASSERT_TRUE(edns);
  EXPECT_FALSE(edns->has_value());
}

TEST(Edns, ABrokenTailIsAProtocolError) {
  const Bytes asked = Hex("0001 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 04");
  EXPECT_FALSE(ParseEdns(ParseQuery(asked).value()));
}

TEST(Edns, BoundsTheAnswerByUdp) {
  EXPECT_EQ(UdpLimit(std::nullopt), 512u);
  EXPECT_EQ(UdpLimit(Edns{.udp_bytes = 100}), 512u);
  EXPECT_EQ(UdpLimit(Edns{.udp_bytes = 1232}), 1232u);
  EXPECT_LT(UdpLimit(Edns{.udp_bytes = 65535}), 65507u);
}

TEST(Reply, HasAddressesUnderTheNameAsItWasAsked) {
  auto reply =
      RoundTrip({.name = "WeB.demo."},
                {.authoritative = true, .addresses = {Ip("10.96.0.10"), Ip("10.96.0.11")}});
  EXPECT_EQ(reply.id(), 0x1234);
  EXPECT_EQ(reply.rcode(), "NOERROR");
  EXPECT_EQ(reply.flags(), "qr aa rd ra");
  EXPECT_EQ(reply.question(), "WeB.demo. IN A\n");
  EXPECT_EQ(reply.answer(), "WeB.demo. 30 IN A 10.96.0.10\nWeB.demo. 30 IN A 10.96.0.11\n");
  EXPECT_FALSE(reply.edns());
}

TEST(Reply, HasIpv6Addresses) {
  auto reply = RoundTrip({.name = "web.", .type = kTypeAaaa}, {.addresses = {Ip("fd77::10")}});
  EXPECT_EQ(reply.answer(), "web. 30 IN AAAA fd77::10\n");
}

TEST(Reply, LeadsToItsAliasFirst) {
  auto reply = RoundTrip({.name = "api.example.com.ns.svc.cluster.local."},
                         {.alias = "api.example.com", .addresses = {Ip("10.0.0.1")}});
  EXPECT_EQ(reply.answer(),
            "api.example.com.ns.svc.cluster.local. 30 IN CNAME api.example.com.\n"
            "api.example.com. 30 IN A 10.0.0.1\n");
}

TEST(Reply, ThatIsNegativeHasAnSoa) {
  auto reply = RoundTrip({.name = "web.demo."}, {.authoritative = true, .negative = true});
  EXPECT_EQ(reply.rcode(), "NOERROR");
  EXPECT_EQ(reply.answers(), 0u);
  EXPECT_EQ(reply.authority(),
            "web.demo. 5 IN SOA web.demo. hostmaster.web.demo. 1 7200 1800 86400 5\n");
}

TEST(Reply, ThatIsNegativeBehindAnAliasHasTheSoaOfTheAlias) {
  auto reply = RoundTrip({.name = "a.b.ns.svc.cluster.local."}, {.alias = "a.b", .negative = true});
  EXPECT_EQ(reply.answer(), "a.b.ns.svc.cluster.local. 30 IN CNAME a.b.\n");
  EXPECT_EQ(reply.authority(), "a.b. 5 IN SOA a.b. hostmaster.a.b. 1 7200 1800 86400 5\n");
}

TEST(Reply, CopiesRdAndCd) {
  EXPECT_EQ(RoundTrip({.name = "a.", .recursion_desired = false}, {}).flags(), "qr ra");
  EXPECT_EQ(RoundTrip({.name = "a.", .checking_disabled = true}, {}).flags(), "qr rd ra cd");
}

TEST(Reply, HasEdnsOnlyIfTheQuestionHad) {
  auto reply = RoundTrip({.name = "a.", .udp_bytes = 4096, .dnssec_ok = true}, Addresses(1));
  EXPECT_TRUE(reply.edns());
  EXPECT_TRUE(reply.dnssec_ok());
  EXPECT_EQ(reply.udp_bytes(), 1232);
  EXPECT_EQ(reply.answers(), 1u);
}

TEST(Reply, ToAnUnknownVersionOfEdnsSaysSo) {
  auto reply = RoundTrip({.name = "a.", .udp_bytes = 4096}, {.rcode = Rcode::kBadVers});
  EXPECT_EQ(reply.rcode(), "NOERROR");
  EXPECT_EQ(reply.extended_rcode(), 1);
}

TEST(Reply, ThatIsTooLongIsCutBetweenRecords) {
  const Bytes asked = Encode({.name = "web."});
  auto query = ParseQuery(asked).value();
  const Bytes whole = EncodeReply(query, Addresses(30), std::nullopt, 512);
  EXPECT_EQ(Decoded(whole).flags(), "qr aa rd ra");
  const Bytes cut = EncodeReply(query, Addresses(256), std::nullopt, 512);
  EXPECT_LE(cut.size(), 512u);
  EXPECT_GT(cut.size(), 512u - 16);
  EXPECT_EQ(Decoded(cut).flags(), "qr aa tc rd ra");
  EXPECT_EQ(Decoded(cut).answers(), (512 - asked.size()) / 16);
}

TEST(Reply, ThatIsCutKeepsItsOpt) {
  auto reply = RoundTrip({.name = "web.", .udp_bytes = 700}, Addresses(256));
  EXPECT_EQ(reply.flags(), "qr aa tc rd ra");
  EXPECT_TRUE(reply.edns());
  EXPECT_EQ(reply.answers(), (700u - 12 - 9 - 11) / 16);
}

TEST(Reply, OverTcpHasRoomForThousands) {
  const Bytes asked = Encode({.name = "web."});
  auto query = ParseQuery(asked).value();
  Decoded all(EncodeReply(query, Addresses(4000), std::nullopt, kMaxMessageBytes));
  EXPECT_EQ(all.answers(), 4000u);
  Decoded cut(EncodeReply(query, Addresses(5000), std::nullopt, kMaxMessageBytes));
  EXPECT_EQ(cut.flags(), "qr aa tc rd ra");
}

TEST(Reply, ToWhatDoesNotDecodeIsAHeader) {
  Decoded reply(EncodeFormErr(Hex("abcd 0110 0002 0000 0000 0000 ff")));
  EXPECT_EQ(reply.id(), 0xabcd);
  EXPECT_EQ(reply.rcode(), "FORMERR");
  EXPECT_EQ(reply.flags(), "qr rd ra cd");
  EXPECT_EQ(reply.question(), "");
}

class AnswerMatch : public ::testing::Test {
 protected:
  bool Matches(const std::string& answer) { return Answers(Hex(answer), query_, 0x0001); }

  const Bytes asked_ = Hex("9999 0100 0001 0000 0000 0000 0161 0142 00 0001 0001");
  const Query query_ = ParseQuery(asked_).value();
};

TEST_F(AnswerMatch, NeedsIdentifierQuestionAndTheAnswerBit) {
  EXPECT_TRUE(Matches("0001 8180 0001 0000 0000 0000 0161 0142 00 0001 0001"));
  EXPECT_FALSE(Matches("0002 8180 0001 0000 0000 0000 0161 0142 00 0001 0001"));
  EXPECT_FALSE(Matches("0001 0100 0001 0000 0000 0000 0161 0142 00 0001 0001"));
  EXPECT_FALSE(Matches("0001 a980 0001 0000 0000 0000 0161 0142 00 0001 0001"));
  EXPECT_FALSE(Matches("0001 8180 0001 0000 0000 0000 0161 0143 00 0001 0001"));
  EXPECT_FALSE(Matches("0001 8180 0001 0000 0000 0000 0161 0142 00 001c 0001"));
  EXPECT_FALSE(Matches("0001 8180 0001 0000 0000 0000 0161 0142 00 0001 0003"));
  EXPECT_FALSE(Matches("0001 8180 0002 0000 0000 0000 0161 0142 00 0001 0001"));
  EXPECT_FALSE(Matches("0001 8180 0001 0000 0000 0000 0161"));
  EXPECT_FALSE(Matches("0001 81"));
}

TEST_F(AnswerMatch, LooksPastLetterCaseOfTheNameOnly) {
  EXPECT_TRUE(Matches("0001 8180 0001 0000 0000 0000 0141 0162 00 0001 0001"));
}

TEST_F(AnswerMatch, OnlyARefusalMayLackTheQuestion) {
  EXPECT_TRUE(Matches("0001 8181 0000 0000 0000 0000"));
  EXPECT_TRUE(Matches("0001 8184 0000 0000 0000 0000"));
  EXPECT_FALSE(Matches("0001 8180 0000 0000 0000 0000"));
  EXPECT_FALSE(Matches("0001 8183 0000 0000 0000 0000"));
}

TEST(Answer, ToAnUpdateNeedNotRepeatTheZone) {
  const Bytes asked = Hex("9999 2800 0001 0000 0001 0000 0161 00 0006 0001");
  auto query = ParseQuery(asked).value();
  EXPECT_TRUE(Answers(Hex("0001 a800 0000 0000 0000 0000"), query, 1));
  EXPECT_TRUE(Answers(Hex("0001 a805 0001 0000 0000 0000 0161 00 0006 0001"), query, 1));
  EXPECT_FALSE(Answers(Hex("0001 8000 0000 0000 0000 0000"), query, 1));
}

}  // namespace
}  // namespace ambit::dns
