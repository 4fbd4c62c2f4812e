#include "ztunnel-lite/xds/subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/xds/resource_fixture.h"

namespace ambit::xds {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Subscription, AsksForEverythingAddressesFirst) {
  envoy::service::discovery::v3::Node node;
  node.set_id("me");
  auto requests = Subscription(node).Open();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].type_url(), kAddressType);
  EXPECT_EQ(requests[1].type_url(), kAuthorizationType);
  EXPECT_EQ(requests[0].node().id(), "me");
  EXPECT_EQ(requests[0].resource_names_subscribe_size(), 0);
}

TEST(Subscription, TakesTheGoodResourcesAndNamesTheBadOnes) {
  Subscription subscription({});
  auto answer = AnswerOf(kAddressType, "n1");
  AddWorkload(answer, "good", "1");
  AddWorkload(answer, "bad", "1", "abc");
  answer.add_removed_resources("gone");
  auto handled = subscription.Handle(answer);
  EXPECT_EQ(handled.update.upserts.size(), 1u);
  EXPECT_THAT(handled.update.removed_addresses, ElementsAre("gone"));
  EXPECT_EQ(handled.reply.response_nonce(), "n1");
  EXPECT_THAT(handled.reply.error_detail().message(), HasSubstr("bad: addresses"));
  EXPECT_FALSE(subscription.synced());
}

TEST(Subscription, IsSyncedOnceBothTypesWereTakenWhole) {
  Subscription subscription({});
  EXPECT_FALSE(subscription.Handle(AnswerOf(kAddressType, "1")).reply.has_error_detail());
  EXPECT_FALSE(subscription.synced());
  subscription.Handle(AnswerOf(kAuthorizationType, "2"));
  EXPECT_TRUE(subscription.synced());
}

TEST(Subscription, AReconnectNamesTheVersionsHeldWithoutRejectedAndRemovedOnes) {
  Subscription subscription({});
  auto answer = AnswerOf(kAddressType, "1");
  AddWorkload(answer, "a", "v1");
  AddWorkload(answer, "b", "v1");
  AddWorkload(answer, "bad", "v1", "abc");
  subscription.Handle(answer);
  auto removal = AnswerOf(kAddressType, "2");
  removal.add_removed_resources("b");
  subscription.Handle(removal);
  auto versions = subscription.Open()[0].initial_resource_versions();
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(versions.at("a"), "v1");
}

TEST(Subscription, AnUnknownTypeIsAcknowledgedAndAWrongOneInsideRejected) {
  Subscription subscription({});
  EXPECT_FALSE(
      subscription.Handle(AnswerOf("type.googleapis.com/x", "1")).reply.has_error_detail());
  auto answer = AnswerOf(kAuthorizationType, "2");
  AddWorkload(answer, "a", "1");
  EXPECT_TRUE(subscription.Handle(answer).reply.has_error_detail());
}

TEST(Subscription, BytesThatDoNotDecodeAreRejectedByName) {
  Subscription subscription({});
  auto answer = AnswerOf(kAuthorizationType, "1");
  AddPolicy(answer, "p");
  answer.mutable_resources(0)->mutable_resource()->set_value("\xff\xff");
  auto handled = subscription.Handle(answer);
  EXPECT_THAT(handled.rejected, HasSubstr("ns/p"));
  EXPECT_TRUE(handled.update.upserts.empty());
}

TEST(Update, AppliesUpsertsBeforeRemovalsAndEndsTheBatch) {
  Subscription subscription({});
  state::MeshState mesh;
  int batches = 0;
  mesh.OnChange([&](state::MeshState::Batch) { ++batches; });
  auto answer = AnswerOf(kAddressType, "1");
  AddWorkload(answer, "a", "v1");
  AddWorkload(answer, "b", "v1");
  answer.add_removed_resources("b");
  subscription.Handle(answer).update.ApplyTo(mesh);
  EXPECT_NE(mesh.FindWorkload("a"), nullptr);
  EXPECT_EQ(mesh.FindWorkload("b"), nullptr);
  EXPECT_EQ(batches, 1);
}

}  // namespace
}  // namespace ambit::xds
