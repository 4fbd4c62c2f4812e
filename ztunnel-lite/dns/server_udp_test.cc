#include <gmock/gmock.h>

#include <future>
#include <map>
#include <set>

#include "lib/net/socket.h"
#include "ztunnel-lite/dns/testing/proxied_pod.h"

namespace ambit::dns {
namespace {

using std::chrono::milliseconds;
using testing::AnswerTo;
using testing::Decoded;
using testing::Encode;
using ::testing::HasSubstr;
using testing::Hex;
using testing::Received;

class Udp : public testing::ProxiedPod {
 protected:
  Decoded Ask(const testing::Question& question) const {
    return Decoded(AskByUdp(Encode(question)));
  }
  std::string Line(const std::string& owner, const std::string& data) const {
    return owner + " 30 IN " + (v4() ? "A " : "AAAA ") + data + "\n";
  }
};

TEST_P(Udp, AServiceOfTheMeshIsAnsweredAtOnce) {
  auto answer = Ask({.name = "Server.Demo.svc.cluster.local.", .type = AddressType()});
  EXPECT_EQ(answer.answer(), Line("Server.Demo.svc.cluster.local.", VipText()));
  EXPECT_EQ(answer.flags(), "qr aa rd ra");
  EXPECT_TRUE(resolver_->received().empty());
}

TEST_P(Udp, AShortNameAndASearchDomainAreUnderstood) {
  EXPECT_EQ(Ask({.name = "server.", .type = AddressType()}).answer(), Line("server.", VipText()));
  EXPECT_EQ(Ask({.name = "server.demo.demo.svc.cluster.local.", .type = AddressType()}).answer(),
            "server.demo.demo.svc.cluster.local. 30 IN CNAME server.demo.\n" +
                Line("server.demo.", VipText()));
}

TEST_P(Udp, AnUnknownNameIsForwardedUnchangedAndSoIsItsAnswer) {
  Bytes sent;
  StartResolver([&sent](const Received& question) {
    sent = AnswerTo(question.message, "c00c 0001 0001 0000000a 0004 01020304", 1);
    return std::vector<Bytes>{sent};
  });
  const Bytes question = Encode({.name = "WwW.Example.COM.",
                                 .id = 0x7777,
                                 .udp_bytes = 1400,
                                 .checking_disabled = true,
                                 .dnssec_ok = true});
  Bytes answer = AskByUdp(question);
  ASSERT_EQ(resolver_->received().size(), 1u);
  const Received received = resolver_->received()[0];
  EXPECT_EQ(received.from.address, PodIp());
  EXPECT_EQ(Bytes(received.message.begin() + 2, received.message.end()),
            Bytes(question.begin() + 2, question.end()));
  EXPECT_EQ(ReadId(answer), 0x7777);
  EXPECT_EQ(Bytes(answer.begin() + 2, answer.end()), Bytes(sent.begin() + 2, sent.end()));
}

TEST_P(Udp, OtherTypesOfAKnownNameAreForwarded) {
  Ask({.name = "server.demo.svc.cluster.local.", .type = 33});
  EXPECT_EQ(resolver_->received().size(), 1u);
}

TEST_P(Udp, AnUpdateIsForwarded) {
  const Bytes update =
      Hex("0005 2800 0001 0000 0001 0000 0161 00 0006 0001 c00c 00ff 00ff 00000000 0000");
  const Bytes answer = AskByUdp(update);
  ASSERT_EQ(resolver_->received().size(), 1u);
  const Bytes received = resolver_->received()[0].message;
  EXPECT_EQ(HexEncode(ByteSpan(received).subspan(2)), HexEncode(ByteSpan(update).subspan(2)));
  EXPECT_EQ(ReadId(answer), 5);
}

TEST_P(Udp, TheResolverThatWasAskedIsAsked) {
  peer().AddAddress("10.77.0.53/24", "peer0");
  peer().AddAddress("fd77::53/64", "peer0");
  const net::Endpoint second{Ip("10.77.0.53", "fd77::53"), 53};
  auto answer = [](const Received& question) {
    return std::vector<Bytes>{AnswerTo(question.message)};
  };
  auto other = peer().In(
      [&] { return std::make_unique<testing::FakeResolver>(std::vector{second}, answer); });
  const UniqueFd app = redirect::ConnectUdp(pod(), second);
  redirect::Write(app, std::string(AsText(Encode({.name = "example.com."}))));
  EXPECT_FALSE(redirect::Read(app).empty());
  EXPECT_EQ(other->received().size(), 1u);
  EXPECT_TRUE(resolver_->received().empty());
}

TEST_P(Udp, EachQuestionHasItsOwnPortAndIdentifier) {
  for (int i = 0; i < 16; ++i) Ask({.name = "example.com.", .id = 1});
  std::set<uint16_t> ports, ids;
  for (const auto& question : resolver_->received()) {
    ports.insert(question.from.port);
    ids.insert(ReadId(question.message));
  }
  EXPECT_GE(ports.size(), 15u);
  EXPECT_GE(ids.size(), 15u);
}

TEST_P(Udp, AnswersToOtherQuestionsAreNotBelieved) {
  StartResolver([](const Received& question) {
    Bytes other_id = AnswerTo(question.message, "c00c 0001 0001 0000000a 0004 06060606", 1);
    Bytes other_name = other_id;
    SetId(other_id, static_cast<uint16_t>(ReadId(other_id) + 1));
    other_name[kHeaderBytes + 1] = std::byte('x');
    return std::vector<Bytes>{
        Hex("00"), other_id, other_name, question.message,
        AnswerTo(question.message, "c00c 0001 0001 0000000a 0004 01020304", 1)};
  });
  EXPECT_EQ(Ask({.name = "example.com."}).answer(), "example.com. 10 IN A 1.2.3.4\n");
}

TEST_P(Udp, AFloodOfWrongAnswersEndsTheQuestion) {
  StartResolver([](const Received& question) {
    Bytes wrong = AnswerTo(question.message);
    SetId(wrong, static_cast<uint16_t>(ReadId(wrong) + 1));
    return std::vector<Bytes>(100, wrong);
  });
  EXPECT_EQ(Ask({.name = "example.com."}).rcode(), "SERVFAIL");
}

TEST_P(Udp, ASilentResolverMeansServFail) {
  options_.deadline = milliseconds(50);
  StartProxy();
  StartResolver([](const Received&) { return std::vector<Bytes>(); });
  auto answer = Ask({.name = "example.com.", .udp_bytes = 1232});
  EXPECT_EQ(answer.rcode(), "SERVFAIL");
  EXPECT_EQ(answer.question(), "example.com. IN A\n");
  EXPECT_TRUE(answer.edns());
  EXPECT_THAT(log_.text(), HasSubstr("does not answer"));
}

TEST_P(Udp, AResolverThatRefusesMeansServFailAtOnce) {
  resolver_.reset();
  EXPECT_EQ(Ask({.name = "example.com."}).rcode(), "SERVFAIL");
}

TEST_P(Udp, ATruncatedAnswerIsPassedOnAsItIs) {
  StartResolver([](const Received& question) {
    Bytes cut = AnswerTo(question.message);
    cut[2] |= std::byte(2);
    return std::vector<Bytes>{cut};
  });
  EXPECT_EQ(Ask({.name = "example.com."}).flags(), "qr tc rd ra");
  EXPECT_EQ(resolver_->received().size(), 1u);
}

TEST_P(Udp, AQuestionToTheProxyItselfGoesToTheFallback) {
  options_.fallback = {{Loopback(), 1}, Resolver()};
  StartProxy();
  const UniqueFd app = redirect::ConnectUdp(pod(), {Loopback(), kPort});
  redirect::Write(app, std::string(AsText(Encode({.name = "example.com."}))));
  const std::string answer = redirect::Read(app);
  EXPECT_EQ(Decoded(AsBytes(answer)).rcode(), "NOERROR");
  EXPECT_EQ(resolver_->received().size(), 1u);
}

TEST_P(Udp, WithoutAFallbackSuchAQuestionFails) {
  const UniqueFd app = redirect::ConnectUdp(pod(), {Loopback(), kPort});
  redirect::Write(app, std::string(AsText(Encode({.name = "example.com."}))));
  const std::string answer = redirect::Read(app);
  EXPECT_EQ(Decoded(AsBytes(answer)).rcode(), "SERVFAIL");
}

TEST_P(Udp, BeyondTheBoundOfOpenQuestionsTheAnswerIsServFail) {
  options_.max_outstanding = 2;
  StartProxy();
  StartResolver([](const Received&) { return std::vector<Bytes>(); });
  const UniqueFd first = redirect::ConnectUdp(pod(), Resolver());
  const std::string question(AsText(Encode({.name = "example.com."})));
  redirect::Write(first, question);
  redirect::Write(first, question);
  redirect::Write(first, question);
  EXPECT_EQ(Decoded(AsBytes(redirect::Read(first))).rcode(), "SERVFAIL");
  EXPECT_TRUE(proxy_->busy());
}

TEST_P(Udp, NoiseIsNotAnsweredAndAMalformedQuestionIsFormErr) {
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver());
  redirect::Write(app, "noise");
  redirect::Write(app, std::string(AsText(Hex("0001 8100 0000 0000 0000 0000"))));
  redirect::Write(app, std::string(AsText(Hex("0002 0100 0001 0000 0000 0000 05"))));
  const std::string answer = redirect::Read(app);
  Decoded decoded(AsBytes(answer));
  EXPECT_EQ(decoded.id(), 2);
  EXPECT_EQ(decoded.rcode(), "FORMERR");
}

TEST_P(Udp, AKnownNameWithABrokenTailIsFormErr) {
  const Bytes asked = Hex(std::string("0001 0100 0001 0000 0000 0001 06 736572766572 00 ") +
                          (v4() ? "0001" : "001c") + " 0001 00 0029 04");
  EXPECT_EQ(Decoded(AskByUdp(asked)).rcode(), "FORMERR");
}

TEST_P(Udp, AnUnknownVersionOfEdnsIsRefusedForOurOwnNames) {
  Bytes asked = Encode({.name = "server.", .type = AddressType(), .udp_bytes = 1232});
  asked[asked.size() - 5] = std::byte(1);
  EXPECT_EQ(Decoded(AskByUdp(asked)).extended_rcode(), 1);
}

TEST_P(Udp, TooManyAddressesAreCutWithoutEdnsAndNotWithIt) {
  auto service = std::make_shared<state::Service>();
  service->name = "many";
  service->ns = "demo";
  service->hostname = "many.demo.svc.cluster.local";
  for (int i = 1; i <= 100; ++i) {
    const std::string last = std::to_string(i);
    service->vips.push_back({"", Ip("10.97.0." + last, "fd97::" + last)});
  }
  proxy_->Do([&] { mesh_.Upsert(state::ServicePtr(service)); });
  auto cut = Ask({.name = "many.", .type = AddressType()});
  EXPECT_EQ(cut.flags(), "qr aa tc rd ra");
  EXPECT_GT(cut.answers(), 10u);
  auto whole = Ask({.name = "many.", .type = AddressType(), .udp_bytes = 4096});
  EXPECT_EQ(whole.flags(), "qr aa rd ra");
  EXPECT_EQ(whole.answers(), 100u);
}

TEST_P(Udp, AQuestionWaitsForThePodToBeAnnounced) {
  proxy_->Announce(nullptr);
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver());
  redirect::Write(app, std::string(AsText(Encode({.name = "server.", .type = AddressType()}))));
  while (!proxy_->busy()) std::this_thread::yield();
  proxy_->Announce(ClientWorkload());
  const std::string answer = redirect::Read(app);
  EXPECT_EQ(Decoded(AsBytes(answer)).answer(), Line("server.", VipText()));
}

TEST_P(Udp, APodThatIsNeverAnnouncedGetsServFailForAddressesAndTheRestForwarded) {
  proxy_->Announce(nullptr);
  EXPECT_EQ(Ask({.name = "example.com.", .type = 16}).rcode(), "NOERROR");
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver());
  redirect::Write(app, std::string(AsText(Encode({.name = "server."}))));
  while (!proxy_->busy()) std::this_thread::yield();
  proxy_->Announce(nullptr);
  EXPECT_EQ(Decoded(AsBytes(redirect::Read(app))).rcode(), "SERVFAIL");
}

TEST_P(Udp, ADrainedProxyAnswersWhatIsUnderWayWhileASuccessorTakesTheNew) {
  std::promise<void> asked, answer;
  StartResolver([&](const Received& question) {
    if (!question.message.empty() && question.message[13] == std::byte('s')) {
      asked.set_value();
      answer.get_future().wait();
    }
    return std::vector<Bytes>{AnswerTo(question.message)};
  });
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver());
  redirect::Write(app, std::string(AsText(Encode({.name = "slow."}))));
  asked.get_future().wait();
  proxy_->BeginDrain();
  auto successor = MakeProxy();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Ask({.name = "server.", .type = AddressType()}).answers(), 1u);
  }
  EXPECT_TRUE(proxy_->busy());
  answer.set_value();
  const std::string late = redirect::Read(app);
  EXPECT_EQ(Decoded(AsBytes(late)).question(), "slow. IN A\n");
  while (proxy_->busy()) std::this_thread::yield();
}

TEST_P(Udp, AStoppedProxyLetsGoOfWhatIsUnderWay) {
  StartResolver([](const Received&) { return std::vector<Bytes>(); });
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver());
  redirect::Write(app, std::string(AsText(Encode({.name = "example.com."}))));
  while (!proxy_->busy()) std::this_thread::yield();
  proxy_.reset();
}

TEST_P(Udp, IsCountedAndLogged) {
  Ask({.name = "server.", .type = AddressType()});
  StartResolver([](const Received& question) {
    Bytes answer = AnswerTo(question.message);
    answer[3] |= std::byte(3);
    return std::vector<Bytes>{answer};
  });
  Ask({.name = "nobody.example.com.", .type = AddressType()});
  EXPECT_FALSE(proxy_->busy());
  std::map<std::string, double> counters;
  for (const auto& family : meter_.Collect()) {
    for (const auto& metric : family.metric) counters[family.name] += metric.counter.value;
  }
  EXPECT_EQ(counters["istio_dns_requests_total"], 2);
  EXPECT_EQ(counters["istio_dns_upstream_requests_total"], 1);
  EXPECT_EQ(counters["istio_dns_upstream_failures_total"], 1) << "a name that is not there";
  const std::string type = v4() ? "A" : "AAAA";
  EXPECT_THAT(log_.text(),
              HasSubstr("src.workload=\"client\" src.namespace=\"demo\" query=\"" + type +
                        "\" domain=\"server.\" result=\"success\" endpoints=1"));
  EXPECT_THAT(log_.text(), HasSubstr("domain=\"nobody.example.com.\" result=\"forwarded\""));
}

INSTANTIATE_TEST_SUITE_P(Server, Udp, ::testing::Values(net::Family::kIpv4, net::Family::kIpv6),
                         testing::FamilyName);

}  // namespace
}  // namespace ambit::dns
