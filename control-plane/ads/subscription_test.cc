#include "control-plane/ads/subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/ads/resource_for_test.h"

namespace ambit::ads {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SubscriptionTest : public ::testing::Test {
 protected:
  // "name@version" per resource, "-name" per removal; "nothing" where no response is due.
  std::vector<std::string> Next() {
    auto response = subscription_.Next(std::to_string(++nonce_));
    if (!response) return {"nothing"};
    EXPECT_EQ(response->type_url(), "type");
    EXPECT_EQ(response->nonce(), std::to_string(nonce_));
    std::vector<std::string> lines;
    for (const auto& resource : response->resources()) {
      EXPECT_EQ(resource.resource().type_url(), "type");
      lines.push_back(resource.name() + "@" + resource.version());
    }
    for (const auto& name : response->removed_resources()) lines.push_back("-" + name);
    return lines;
  }
  std::optional<std::string> Send(const Subscription::Request& request) {
    auto taken = subscription_.OnRequest(request);
    EXPECT_TRUE(taken) << taken.error().message();
    return taken.value_or(std::nullopt);
  }
  void Ack() {
    Subscription::Request request;
    request.set_response_nonce(std::to_string(nonce_));
    EXPECT_EQ(Send(request), std::nullopt);
  }
  void Put(const std::string& name, const std::string& version,
           std::vector<std::string> aliases = {}, std::vector<std::string> groups = {}) {
    store_.Apply({{ResourceOf(name, version, std::move(aliases), std::move(groups))}, {}});
    subscription_.OnChanged({name});
  }
  void Remove(const std::string& name) {
    store_.Apply({{}, {name}});
    subscription_.OnChanged({name});
  }
  static Subscription::Request Names(const std::vector<std::string>& subscribe,
                                     const std::vector<std::string>& unsubscribe = {}) {
    Subscription::Request request;
    for (const auto& name : subscribe) request.add_resource_names_subscribe(name);
    for (const auto& name : unsubscribe) request.add_resource_names_unsubscribe(name);
    return request;
  }

  ResourceStore store_;
  Subscription subscription_{store_, "type", 3};
  int nonce_ = 0;
};

TEST_F(SubscriptionTest, AFirstRequestWithoutNamesGetsEverything) {
  Put("a", "1");
  Put("b", "1");
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  Send({});
  EXPECT_THAT(Next(), ElementsAre("a@1", "b@1"));
  Ack();
  EXPECT_THAT(Next(), ElementsAre("nothing"));
}

TEST_F(SubscriptionTest, AnEmptySetIsAnsweredOnceSoThatTheClientIsInSync) {
  Send({});
  EXPECT_THAT(Next(), IsEmpty());
  Ack();
  EXPECT_THAT(Next(), ElementsAre("nothing"));
}

TEST_F(SubscriptionTest, ChangesAndRemovalsFollow) {
  Put("a", "1");
  Send({});
  Next();
  Ack();
  Put("b", "1");
  EXPECT_THAT(Next(), ElementsAre("b@1"));
  Ack();
  Put("a", "2");
  Remove("b");
  EXPECT_THAT(Next(), ElementsAre("a@2", "-b"));
}

TEST_F(SubscriptionTest, WhileAResponseIsUnansweredChangesAreMerged) {
  Send({});
  Next();
  Put("a", "1");
  Put("a", "2");
  Put("b", "1");
  Remove("b");
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  nonce_ = 1;
  Ack();
  EXPECT_THAT(Next(), ElementsAre("a@2"));
}

TEST_F(SubscriptionTest, AnAnswerToAnOlderResponseDoesNotRelease) {
  Send({});
  Next();
  Put("a", "1");
  Subscription::Request stale;
  stale.set_response_nonce("other");
  stale.mutable_error_detail()->set_message("bad");
  EXPECT_EQ(Send(stale), std::nullopt);
  EXPECT_THAT(Next(), ElementsAre("nothing"));
}

TEST_F(SubscriptionTest, ARejectionIsReportedAndNotSentAgain) {
  Put("a", "1");
  Send({});
  Next();
  Subscription::Request rejection;
  rejection.set_response_nonce("1");
  rejection.mutable_error_detail()->set_message("a: no good");
  EXPECT_EQ(Send(rejection), "a: no good");
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  Put("a", "2");
  EXPECT_THAT(Next(), ElementsAre("a@2"));
}

TEST_F(SubscriptionTest, AReconnectGetsOnlyDifferencesAndVanishedNames) {
  Put("same", "1");
  Put("changed", "2");
  Put("new", "1");
  Subscription::Request request;
  (*request.mutable_initial_resource_versions())["same"] = "1";
  (*request.mutable_initial_resource_versions())["changed"] = "1";
  (*request.mutable_initial_resource_versions())["gone"] = "1";
  Send(request);
  EXPECT_THAT(Next(), ElementsAre("changed@2", "new@1", "-gone"));
}

TEST_F(SubscriptionTest, AReconnectWithoutDifferencesIsStillAnswered) {
  Put("same", "1");
  Subscription::Request request;
  (*request.mutable_initial_resource_versions())["same"] = "1";
  Send(request);
  EXPECT_THAT(Next(), IsEmpty());
}

TEST_F(SubscriptionTest, SubscribingToNothingGetsNothing) {
  Put("a", "1");
  Send(Names({"*"}, {"*"}));
  EXPECT_THAT(Next(), IsEmpty());
  Ack();
  Put("b", "1");
  EXPECT_THAT(Next(), ElementsAre("nothing"));
}

TEST_F(SubscriptionTest, ANameIsAnsweredByAddressNameAndMembership) {
  Put("pod", "1", {"/10.0.0.1"}, {"ns/svc"});
  Put("ns/svc", "1");
  Put("other", "1");
  Send(Names({"*"}, {"*"}));
  Next();
  Ack();
  Send(Names({"/10.0.0.1"}));
  EXPECT_THAT(Next(), ElementsAre("pod@1", "-/10.0.0.1"));
  Ack();
  Send(Names({"ns/svc"}));
  EXPECT_THAT(Next(), ElementsAre("ns/svc@1"));
  Ack();
  Put("pod2", "1", {}, {"ns/svc"});
  Put("other", "2");
  EXPECT_THAT(Next(), ElementsAre("pod2@1"));
  Ack();
  Remove("pod2");
  EXPECT_THAT(Next(), ElementsAre("-pod2"));
}

TEST_F(SubscriptionTest, ANameThatDoesNotExistIsAnsweredAsRemoved) {
  Send(Names({"nobody"}));
  EXPECT_THAT(Next(), ElementsAre("-nobody"));
  Ack();
  Put("nobody", "1");
  EXPECT_THAT(Next(), ElementsAre("nobody@1"));
}

TEST_F(SubscriptionTest, AnUnsubscribedNameIsNotFollowedAndCanBeAskedForAgain) {
  Put("a", "1");
  Send(Names({"a"}));
  EXPECT_THAT(Next(), ElementsAre("a@1"));
  Ack();
  Send(Names({}, {"a"}));
  Put("a", "2");
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  Send(Names({"a"}));
  EXPECT_THAT(Next(), ElementsAre("a@2"));
}

TEST_F(SubscriptionTest, TooManyNamesAreRefused) {
  auto refused = subscription_.OnRequest(Names({"a", "b", "c", "d"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
}

TEST_F(SubscriptionTest, AClientThatNeverAnswersCostsNoMoreThanTheStore) {
  Send({});
  Next();
  for (int i = 0; i < 5000; ++i) {
    Put("churn" + std::to_string(i), "1");
    Remove("churn" + std::to_string(i));
  }
  Put("last", "1");
  nonce_ = 1;
  Ack();
  EXPECT_THAT(Next(), ElementsAre("last@1"));
}

}  // namespace
}  // namespace ambit::ads
