#include "ztunnel-lite/zds/pod_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/zds/test_handler.h"

namespace ambit::zds {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PodSetTest : public testing::Test {
 protected:
  bool Ready() { return readiness_.Pending().empty(); }
  bool Handled(Message message) { return pods_.Handle(std::move(message)).has_value(); }

  TestHandler handler_;
  observe::Readiness readiness_;
  prometheus::Registry metrics_;
  PodSet pods_{handler_, readiness_, metrics_};
};

TEST_F(PodSetTest, IsReadyWhileConnectedWithASnapshotAndNothingPending) {
  EXPECT_THAT(readiness_.Pending(), ElementsAre("workload proxy manager"));
  pods_.Connected();
  EXPECT_FALSE(Ready());
  EXPECT_TRUE(Handled(SnapshotSent{}));
  EXPECT_TRUE(Ready());
  handler_.failing = {"a"};
  EXPECT_FALSE(Handled(Add("a")));
  EXPECT_FALSE(Ready());
  handler_.failing.clear();
  EXPECT_THAT(pods_.RetryPending(), IsEmpty());
  EXPECT_TRUE(Ready());
  pods_.Disconnected();
  EXPECT_FALSE(Ready());
}

TEST_F(PodSetTest, ASnapshotStopsWhatItDoesNotName) {
  pods_.Connected();
  for (const char* uid : {"a", "b", "c"}) EXPECT_TRUE(Handled(Add(uid)));
  EXPECT_TRUE(Handled(SnapshotSent{}));
  handler_.events.clear();
  pods_.Connected();
  EXPECT_TRUE(Handled(Add("a")));
  EXPECT_TRUE(Handled(KeepPod{"b"}));
  EXPECT_TRUE(Handled(SnapshotSent{}));
  EXPECT_THAT(handler_.events, ElementsAre("start a", "stop c"));
}

TEST_F(PodSetTest, ADeleteBeforeTheSnapshotTakesEffectWithIt) {
  pods_.Connected();
  EXPECT_TRUE(Handled(Add("a")));
  EXPECT_TRUE(Handled(DeletePod{"a"}));
  EXPECT_THAT(handler_.events, ElementsAre("start a"));
  EXPECT_TRUE(Handled(SnapshotSent{}));
  EXPECT_THAT(handler_.events, ElementsAre("start a", "stop a"));
}

TEST_F(PodSetTest, ADeleteAfterTheSnapshotStopsAtOnceAndUnknownPodsAreFine) {
  pods_.Connected();
  EXPECT_TRUE(Handled(Add("a")));
  EXPECT_TRUE(Handled(SnapshotSent{}));
  EXPECT_TRUE(Handled(DeletePod{"a"}));
  EXPECT_TRUE(Handled(DeletePod{"stranger"}));
  EXPECT_THAT(handler_.events, ElementsAre("start a", "stop a"));
}

TEST_F(PodSetTest, APodThatFailsIsRetriedUntilItStartsOrIsDeleted) {
  pods_.Connected();
  EXPECT_TRUE(Handled(SnapshotSent{}));
  handler_.failing = {"a", "b"};
  auto added = pods_.Handle(Add("a"));
  ASSERT_FALSE(added.has_value());
  EXPECT_THAT(added.error().message(), HasSubstr("15008"));
  EXPECT_FALSE(Handled(Add("b")));
  EXPECT_TRUE(Handled(DeletePod{"b"}));
  EXPECT_EQ(pods_.RetryPending().size(), 1u);
  EXPECT_FALSE(pods_.List().at("a").second);
  handler_.failing.clear();
  EXPECT_THAT(pods_.RetryPending(), IsEmpty());
  EXPECT_TRUE(pods_.List().at("a").second);
  EXPECT_FALSE(pods_.has_pending());
}

TEST_F(PodSetTest, MessagesOutOfPlaceAreProtocolErrorsThatChangeNothing) {
  pods_.Connected();
  EXPECT_TRUE(Handled(Add("a")));
  EXPECT_TRUE(Handled(SnapshotSent{}));
  EXPECT_EQ(pods_.Handle(SnapshotSent{}).error().code(), ErrorCode::kProtocol);
  EXPECT_EQ(pods_.Handle(KeepPod{"a"}).error().code(), ErrorCode::kProtocol);
  EXPECT_THAT(handler_.events, ElementsAre("start a"));
}

TEST_F(PodSetTest, ANewConnectionForgetsWhatWasPending) {
  pods_.Connected();
  handler_.failing = {"a"};
  EXPECT_FALSE(Handled(Add("a")));
  pods_.Connected();
  EXPECT_FALSE(pods_.has_pending());
}

}  // namespace
}  // namespace ambit::zds
