#include "ztunnel-lite/names/cares_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "lib/net/netns.h"
#include "ztunnel-lite/dns/testing/fake_resolver.h"
#include "ztunnel-lite/proxy/testing/test_netns.h"

namespace ambit::names {
namespace {

using dns::testing::AnswerTo;
using dns::testing::FakeResolver;
using dns::testing::Received;
using testing::HasSubstr;
using testing::SizeIs;
using testing::UnorderedElementsAre;

net::IpAddress Ip(const char* text) { return net::IpAddress::Parse(text).value(); }

class StoppedClock : public Clock {
 public:
  std::chrono::system_clock::time_point Now() const override { return {}; }
  std::chrono::steady_clock::time_point Steady() const override { return now; }
  std::chrono::steady_clock::time_point now{};
};

// Of a question for one name, the two bytes before the class.
bool AsksForAaaa(const Received& question) {
  size_t at = 12;
  while (question.message[at] != std::byte{0}) at += 1 + static_cast<size_t>(question.message[at]);
  return question.message[at + 2] == std::byte{28};
}

// The owner as a pointer to the question, type, class, a life of 60 s, the address.
std::vector<Bytes> BothFamilies(const Received& question) {
  return {AsksForAaaa(question)
              ? AnswerTo(question.message,
                         "c00c001c00010000003c0010fd000000000000000000000000000007", 1)
              : AnswerTo(question.message, "c00c000100010000003c0004c0000207", 1)};
}

using Answer = std::promise<Result<Addresses>>;

// In a network namespace of its own, where every port is free.
class CaresResolverTest : public ::testing::Test {
 protected:
  void Start(FakeResolver::Script script, bool ipv6 = true) {
    auto made = net::InNetns(netns_.get(), [&]() -> Result<void> {
      server_ = std::make_unique<FakeResolver>(
          std::vector{net::Endpoint::Parse("127.0.0.1:53").value()}, std::move(script));
      ResolverOptions options;
      options.ipv6 = ipv6;
      options.servers = "127.0.0.1:53";
      auto started = StartCaresResolver(clock_, options);
      if (!started) return std::unexpected(started.error());
      resolver_ = std::move(*started);
      return {};
    });
    ASSERT_TRUE(made) << made.error().message();
  }
  std::unique_ptr<HostResolver::Question> Ask(Answer& answer, const std::string& name) {
    return resolver_->Ask(name,
                          [&answer](Result<Addresses> got) { answer.set_value(std::move(got)); });
  }
  Result<Addresses> Resolve(const std::string& name) {
    Answer answer;
    auto question = Ask(answer, name);
    return answer.get_future().get();
  }

  const UniqueFd netns_ = proxy::testing::NewNetns();
  StoppedClock clock_;
  std::unique_ptr<FakeResolver> server_;
  std::unique_ptr<HostResolver> resolver_;
};

TEST_F(CaresResolverTest, ANameHasTheAddressesOfBothFamilies) {
  Start(BothFamilies);
  auto found = Resolve("db.example.com");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, UnorderedElementsAre(Ip("192.0.2.7"), Ip("fd00::7")));
}

TEST_F(CaresResolverTest, WithoutIpv6OnlyAIsAsked) {
  Start(BothFamilies, false);
  EXPECT_THAT(*Resolve("db.example.com"), UnorderedElementsAre(Ip("192.0.2.7")));
  EXPECT_THAT(server_->received(), SizeIs(1));
}

TEST_F(CaresResolverTest, ANameIsAskedAgainWhenItsRecordsHaveEnded) {
  Start(BothFamilies);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Resolve("db.example.com"));
  EXPECT_THAT(server_->received(), SizeIs(2)) << "A and AAAA, once";
  clock_.now += std::chrono::seconds(60);
  ASSERT_TRUE(Resolve("db.example.com"));
  EXPECT_THAT(server_->received(), SizeIs(4));
}

TEST_F(CaresResolverTest, AnUnknownNameIsAnErrorThatNamesIt) {
  Start([](const Received& question) {
    Bytes refused = AnswerTo(question.message);
    refused[3] |= std::byte{3};  // NXDOMAIN
    return std::vector<Bytes>{refused};
  });
  auto found = Resolve("nobody.example.com");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(found.error().message(), HasSubstr("resolve nobody.example.com: "));
}

TEST_F(CaresResolverTest, QuestionsThatWereWithdrawnAreNotAnswered) {
  Start([](const Received&) { return std::vector<Bytes>{}; });
  auto unexpected = [](Result<Addresses>) { ADD_FAILURE() << "it was withdrawn"; };
  auto first = resolver_->Ask("slow.example.com", unexpected);
  auto second = resolver_->Ask("slow.example.com", unexpected);
  first.reset();
  second.reset();
  resolver_.reset();
}

}  // namespace
}  // namespace ambit::names
