#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <future>
#include <set>

#include "ztunnel-lite/dns/testing/proxied_pod.h"

namespace ambit::dns {
namespace {

using std::chrono::milliseconds;
using testing::AnswerTo;
using testing::Decoded;
using testing::Encode;
using testing::Received;

class Tcp : public testing::ProxiedPod {
 protected:
  Decoded Ask(const UniqueFd& connection, const testing::Question& question) const {
    SendFramed(connection, Encode(question));
    return Decoded(ReceiveFramed(connection));
  }
  // The end of the stream comes within 5 s.
  static bool Ended(const UniqueFd& connection) {
    return redirect::Readable(connection, std::chrono::seconds(5)) &&
           redirect::Read(connection).empty();
  }
};

TEST_P(Tcp, AServiceOfTheMeshIsAnswered) {
  auto answer = Ask(ConnectTcp(), {.name = "server.", .type = AddressType()});
  EXPECT_EQ(answer.answer(),
            "server. 30 IN " + std::string(v4() ? "A " : "AAAA ") + VipText() + "\n");
}

TEST_P(Tcp, AnUnknownNameIsForwardedByTcpToTheResolverAsked) {
  Bytes sent;
  StartResolver([&sent](const Received& question) {
    sent = AnswerTo(question.message);
    sent.resize(60000);
    return std::vector<Bytes>{sent};
  });
  const Bytes question = Encode({.name = "Example.com.", .id = 0x4711, .udp_bytes = 1232});
  const UniqueFd connection = ConnectTcp();
  SendFramed(connection, question);
  const Bytes answer = ReceiveFramed(connection);
  ASSERT_EQ(resolver_->received().size(), 1u);
  const Received received = resolver_->received()[0];
  EXPECT_TRUE(received.tcp);
  EXPECT_TRUE(
      std::ranges::equal(ByteSpan(received.message).subspan(2), ByteSpan(question).subspan(2)));
  EXPECT_EQ(ReadId(answer), 0x4711);
  EXPECT_TRUE(std::ranges::equal(ByteSpan(answer).subspan(2), ByteSpan(sent).subspan(2)));
}

TEST_P(Tcp, QuestionsMayFollowEachOtherWithoutWaiting) {
  const UniqueFd connection = ConnectTcp();
  for (uint16_t id = 0; id < 200; ++id) {
    SendFramed(connection, Encode({.name = id % 2 == 0 ? "server." : "example.com.", .id = id}));
  }
  std::set<uint16_t> answered;
  for (int i = 0; i < 200; ++i) answered.insert(Decoded(ReceiveFramed(connection)).id());
  EXPECT_EQ(answered.size(), 200u);
  EXPECT_EQ(resolver_->received().size(), 100u);
}

TEST_P(Tcp, AnAnswerAtHandDoesNotWaitForOneThatIsNot) {
  std::promise<void> hang_up;
  StartResolver([&hang_up](const Received&) {
    hang_up.get_future().wait();
    return std::vector<Bytes>();
  });
  const UniqueFd connection = ConnectTcp();
  SendFramed(connection, Encode({.name = "example.com.", .id = 1}));
  SendFramed(connection, Encode({.name = "server.", .id = 2}));
  EXPECT_EQ(Decoded(ReceiveFramed(connection)).id(), 2);
  hang_up.set_value();
  EXPECT_EQ(Decoded(ReceiveFramed(connection)).rcode(), "SERVFAIL");
}

TEST_P(Tcp, AQuestionMayComeByteByByte) {
  const UniqueFd connection = ConnectTcp();
  const Bytes question = Encode({.name = "server."});
  std::string framed{'\0', static_cast<char>(question.size())};
  framed += AsText(question);
  for (char c : framed) redirect::Write(connection, std::string(1, c));
  EXPECT_EQ(Decoded(ReceiveFramed(connection)).answers(), 1u);
}

TEST_P(Tcp, ATransferOfAZoneHasAllItsMessages) {
  StartResolver([](const Received& question) {
    Bytes later = AnswerTo(question.message);
    later.resize(kHeaderBytes);
    later[5] = std::byte(0);
    return std::vector<Bytes>{AnswerTo(question.message), later, later};
  });
  const UniqueFd connection = ConnectTcp();
  SendFramed(connection, Encode({.name = "example.com.", .type = kTypeAxfr, .id = 9}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReadId(ReceiveFramed(connection)), 9) << i;
}

TEST_P(Tcp, AConnectionWithoutQuestionsIsClosed) {
  options_.session.idle = milliseconds(100);
  StartProxy();
  const UniqueFd silent = ConnectTcp();
  const UniqueFd half = ConnectTcp();
  redirect::Write(half, std::string("\0\x20half", 6));
  EXPECT_TRUE(Ended(silent));
  EXPECT_TRUE(Ended(half));
}

TEST_P(Tcp, AConnectionWaitsForItsAnswerLongerThanItMayBeIdle) {
  options_.session.idle = milliseconds(50);
  StartProxy();
  std::promise<void> answer;
  StartResolver([&answer](const Received& question) {
    answer.get_future().wait();
    return std::vector<Bytes>{AnswerTo(question.message)};
  });
  const UniqueFd connection = ConnectTcp();
  SendFramed(connection, Encode({.name = "example.com."}));
  EXPECT_FALSE(redirect::Readable(connection, milliseconds(200)));
  answer.set_value();
  EXPECT_EQ(Decoded(ReceiveFramed(connection)).rcode(), "NOERROR");
}

TEST_P(Tcp, AClientThatHasSaidAllGetsItsAnswersAndTheEnd) {
  const UniqueFd connection = ConnectTcp();
  SendFramed(connection, Encode({.name = "example.com.", .id = 1}));
  SendFramed(connection, Encode({.name = "server.", .id = 2}));
  shutdown(connection.get(), SHUT_WR);
  std::set<uint16_t> answered{Decoded(ReceiveFramed(connection)).id()};
  answered.insert(Decoded(ReceiveFramed(connection)).id());
  EXPECT_EQ(answered, (std::set<uint16_t>{1, 2}));
  EXPECT_TRUE(Ended(connection));
}

TEST_P(Tcp, AClientThatReadsNothingIsBoundedAndClosed) {
  options_.session.idle = milliseconds(100);
  auto service = std::make_shared<state::Service>();
  service->name = "many";
  service->ns = "demo";
  service->hostname = "many.demo.svc.cluster.local";
  for (int i = 0; i < 1000; ++i) {
    Bytes address = v4() ? Bytes{std::byte(10), std::byte(97), {}, {}} : Bytes(16, std::byte(0xfd));
    address[address.size() - 2] = std::byte(i >> 8);
    address[address.size() - 1] = std::byte(i & 0xff);
    service->vips.push_back({"", net::IpAddress::FromBytes(address).value()});
  }
  proxy_->Do([&] { mesh_.Upsert(state::ServicePtr(service)); });
  StartProxy();
  const UniqueFd connection = ConnectTcp();
  const Bytes question = Encode({.name = "many.", .type = AddressType()});
  std::string framed{'\0', static_cast<char>(question.size())};
  framed += AsText(question);
  std::string flood;
  for (int i = 0; i < 2000; ++i) flood += framed;
  redirect::Write(connection, flood);
  // Without a byte read, so that nothing but the end wakes this.
  pollfd entry{.fd = connection.get(), .events = 0, .revents = 0};
  ASSERT_EQ(poll(&entry, 1, 20'000), 1);
  EXPECT_NE(entry.revents & POLLHUP, 0);
}

TEST_P(Tcp, ConnectionsHaveABound) {
  options_.max_connections = 2;
  StartProxy();
  const UniqueFd first = ConnectTcp();
  EXPECT_EQ(Ask(first, {.name = "server.", .type = AddressType()}).answers(), 1u);
  UniqueFd second = ConnectTcp();
  EXPECT_EQ(Ask(second, {.name = "server.", .type = AddressType()}).answers(), 1u);
  EXPECT_TRUE(Ended(ConnectTcp()));
  second.Reset();
  while (Ask(ConnectTcp(), {.name = "server.", .type = AddressType()}).answers() != 1u) {
  }
}

TEST_P(Tcp, NoiseHasNoAnswerAndTheNextQuestionHas) {
  const UniqueFd connection = ConnectTcp();
  SendFramed(connection, {});
  SendFramed(connection, Bytes(5));
  EXPECT_EQ(Ask(connection, {.name = "server.", .type = AddressType()}).answers(), 1u);
}

TEST_P(Tcp, ADrainEndsIdleConnectionsAndAnswersTheOthers) {
  std::promise<void> asked, answer;
  StartResolver([&](const Received& question) {
    asked.set_value();
    answer.get_future().wait();
    return std::vector<Bytes>{AnswerTo(question.message)};
  });
  const UniqueFd idle = ConnectTcp();
  EXPECT_EQ(Ask(idle, {.name = "server.", .type = AddressType()}).answers(), 1u);
  const UniqueFd waiting = ConnectTcp();
  SendFramed(waiting, Encode({.name = "example.com."}));
  asked.get_future().wait();
  proxy_->BeginDrain();
  EXPECT_TRUE(Ended(idle));
  answer.set_value();
  EXPECT_EQ(Decoded(ReceiveFramed(waiting)).rcode(), "NOERROR");
  EXPECT_TRUE(Ended(waiting));
}

TEST_P(Tcp, AClientThatLeavesLetsGoOfItsQuestions) {
  StartResolver(
      [](const Received& question) { return std::vector<Bytes>{AnswerTo(question.message)}; });
  for (int i = 0; i < 50; ++i) {
    const UniqueFd connection = ConnectTcp();
    SendFramed(connection, Encode({.name = "example.com."}));
  }
  while (proxy_->busy()) std::this_thread::yield();
}

INSTANTIATE_TEST_SUITE_P(Server, Tcp, ::testing::Values(net::Family::kIpv4, net::Family::kIpv6),
                         testing::FamilyName);

}  // namespace
}  // namespace ambit::dns
