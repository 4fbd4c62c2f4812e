#include "ztunnel-lite/identity/credential_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <deque>

#include "ztunnel-lite/identity/ca/csr.h"
#include "ztunnel-lite/identity/ca/test_ca.h"

namespace ambit::identity {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;

class ShiftedClock : public Clock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::now() + shift;
  }
  std::chrono::steady_clock::time_point Steady() const override {
    return std::chrono::steady_clock::now();
  }
  std::chrono::seconds shift{0};
};

// Keeps what it is asked until the test answers.
class HeldSigner : public Signer {
 public:
  void Sign(const state::Identity& identity, Done done) override {
    calls.push_back({identity, std::move(done)});
  }
  struct Call {
    state::Identity identity;
    Done done;
  };
  Call Take() {
    Call call = std::move(calls.front());
    calls.pop_front();
    return call;
  }
  std::deque<Call> calls;
};

state::Identity Id(const std::string& account) { return {"cluster.local", "default", account}; }

class CredentialCacheTest : public testing::Test {
 protected:
  using Outcome = std::optional<Result<tls::CredentialPtr>>;

  tls::CredentialPtr Issue(const state::Identity& identity, seconds lifetime = hours(1)) {
    auto request = MakeSigningRequest(identity).value();
    return tls::Credential::Make(request.key_pem, ca_.Sign(request.csr_pem, lifetime),
                                 ca_.root_pem(), identity)
        .value();
  }
  // What Get says; empty while it waits.
  std::shared_ptr<Outcome> Get(const state::Identity& identity) {
    auto outcome = std::make_shared<Outcome>();
    boost::asio::co_spawn(worker_, cache_.Get(identity),
                          [outcome](const std::exception_ptr&, Result<tls::CredentialPtr> result) {
                            *outcome = std::move(result);
                          });
    Turn();
    return outcome;
  }
  void Turn() {
    for (int i = 0; i < 10; ++i) {
      worker_.restart();
      worker_.poll();
      control_.restart();
      control_.poll();
    }
  }
  // Until the signer is asked again; its timers are real.
  void AwaitCall() {
    auto end = std::chrono::steady_clock::now() + seconds(10);
    while (signer_.calls.empty() && std::chrono::steady_clock::now() < end) {
      control_.restart();
      control_.run_one_for(std::chrono::milliseconds(50));
    }
    ASSERT_FALSE(signer_.calls.empty());
  }
  void Answer(Result<tls::CredentialPtr> result) {
    signer_.Take().done(std::move(result));
    Turn();
  }
  void Refuse() { Answer(Fail(ErrorCode::kUnavailable, "CA is closed")); }

  TestCa ca_;
  boost::asio::io_context control_{1};
  boost::asio::io_context worker_{1};
  ShiftedClock clock_;
  observe::MemoryLog log_;
  HeldSigner signer_;
  CredentialCache cache_{signer_, control_, clock_, log_};
};

TEST_F(CredentialCacheTest, AllWhoWaitShareOneRequest) {
  auto first = Get(Id("a"));
  auto second = Get(Id("a"));
  EXPECT_FALSE(first->has_value());
  ASSERT_EQ(signer_.calls.size(), 1u);
  auto credential = Issue(Id("a"));
  Answer(credential);
  ASSERT_TRUE(first->has_value() && second->has_value());
  EXPECT_EQ((*first)->value(), credential);
  EXPECT_EQ((*second)->value(), credential);
}

TEST_F(CredentialCacheTest, ACachedCredentialIsThereWithoutTheControlThread) {
  cache_.Prefetch(Id("a"));
  Answer(Issue(Id("a")));
  auto outcome = std::make_shared<Outcome>();
  boost::asio::co_spawn(worker_, cache_.Get(Id("a")),
                        [outcome](const std::exception_ptr&, Result<tls::CredentialPtr> result) {
                          *outcome = std::move(result);
                        });
  worker_.restart();
  worker_.poll();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->has_value());
}

TEST_F(CredentialCacheTest, AFailureIsRememberedUntilARetrySucceeds) {
  auto first = Get(Id("a"));
  Refuse();
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ((*first)->error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT((*first)->error().message(), HasSubstr("CA is closed"));
  auto second = Get(Id("a"));
  ASSERT_TRUE(second->has_value());
  EXPECT_FALSE((*second)->has_value());
  EXPECT_TRUE(cache_.List().at(0).error.has_value());
  AwaitCall();
  Answer(Issue(Id("a")));
  EXPECT_TRUE((*Get(Id("a")))->has_value());
  EXPECT_FALSE(cache_.List().at(0).error.has_value());
}

TEST_F(CredentialCacheTest, ARenewalThatFailsKeepsTheOldOneWhileItIsValid) {
  cache_.Prefetch(Id("a"));
  auto old = Issue(Id("a"), seconds(3600));
  clock_.shift = seconds(2500);  // past half of its life: due as soon as it may be
  Answer(old);
  AwaitCall();
  Refuse();
  EXPECT_EQ((*Get(Id("a")))->value(), old);
  EXPECT_THAT(log_.text(), HasSubstr("the old one stays in use"));
  clock_.shift = seconds(4000);
  auto expired = Get(Id("a"));
  ASSERT_TRUE(expired->has_value());
  EXPECT_FALSE((*expired)->has_value());
}

TEST_F(CredentialCacheTest, AtMostEightAreAskedForAtATimeAndThoseWaitedForComeFirst) {
  for (int i = 0; i < 12; ++i) cache_.Prefetch(Id("pod-" + std::to_string(i)));
  EXPECT_EQ(signer_.calls.size(), 8u);
  auto waiting = Get(Id("pod-11"));
  EXPECT_EQ(signer_.calls.size(), 8u);
  signer_.Take().done(Issue(Id("pod-0")));
  ASSERT_EQ(signer_.calls.size(), 8u);
  EXPECT_EQ(signer_.calls.back().identity, Id("pod-11"));
}

TEST_F(CredentialCacheTest, APodThatHasJustComeGoesBeforeARenewal) {
  cache_.Prefetch(Id("old"));
  clock_.shift = seconds(2500);  // past half of its life: due as soon as it may be
  Answer(Issue(Id("old")));
  for (int i = 0; i < 8; ++i) cache_.Prefetch(Id("pod-" + std::to_string(i)));
  ASSERT_EQ(signer_.calls.size(), 8u);
  control_.restart();
  control_.run_for(std::chrono::milliseconds(1500));  // the renewal takes its place in the queue
  ASSERT_EQ(signer_.calls.size(), 8u);
  cache_.Prefetch(Id("new"));
  Refuse();
  ASSERT_EQ(signer_.calls.size(), 8u);
  EXPECT_EQ(signer_.calls.back().identity, Id("new"));
  Refuse();
  EXPECT_EQ(signer_.calls.back().identity, Id("old"));
}

TEST_F(CredentialCacheTest, WhatIsForgottenIsGoneForThoseWhoWaitAndForLateAnswers) {
  auto waiting = Get(Id("a"));
  cache_.Forget(Id("a"));
  Turn();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->error().code(), ErrorCode::kCancelled);
  Answer(Issue(Id("a")));
  EXPECT_TRUE(cache_.List().empty());
}

TEST_F(CredentialCacheTest, APrefetchOfWhatIsThereAsksNobody) {
  cache_.Prefetch(Id("a"));
  Answer(Issue(Id("a")));
  cache_.Prefetch(Id("a"));
  EXPECT_TRUE(signer_.calls.empty());
}

TEST(RenewalTime, IsHalfOfTheLifeAndNeverInThePast) {
  std::chrono::system_clock::time_point start;
  auto end = start + seconds(1000);
  EXPECT_EQ(RenewalTime(start, start, end, 0), start + seconds(500));
  EXPECT_EQ(RenewalTime(start, start, end, 1), start + seconds(600));
  EXPECT_EQ(RenewalTime(start, start, end, -1), start + seconds(400));
  EXPECT_EQ(RenewalTime(start + seconds(900), start, end, 0), start + seconds(900));
}

}  // namespace
}  // namespace ambit::identity
