#include "control-plane/ads/resource_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/ads/resource_for_test.h"

namespace ambit::ads {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Names(const std::vector<ResourcePtr>& resources) {
  std::vector<std::string> names;
  for (const auto& resource : resources) names.push_back(resource->name);
  return names;
}

struct Recorder : StoreObserver {
  void OnChanged(const std::vector<std::string>& changed) override {
    names.insert(names.end(), changed.begin(), changed.end());
  }
  std::vector<std::string> names;
};

TEST(ResourceStore, AKeyFindsNameAliasAndMembers) {
  ResourceStore store;
  store.Apply({{ResourceOf("pod", "1", {"/10.0.0.1"}, {"ns/svc"}), ResourceOf("ns/svc", "1")}, {}});
  EXPECT_THAT(Names(store.Lookup("pod")), ElementsAre("pod"));
  EXPECT_THAT(Names(store.Lookup("/10.0.0.1")), ElementsAre("pod"));
  EXPECT_THAT(Names(store.Lookup("ns/svc")), ElementsAre("ns/svc", "pod"));
  EXPECT_THAT(store.Lookup("other"), IsEmpty());
}

TEST(ResourceStore, ReplacedAndRemovedResourcesLoseTheirKeys) {
  ResourceStore store;
  store.Apply({{ResourceOf("pod", "1", {"/10.0.0.1"})}, {}});
  store.Apply({{ResourceOf("pod", "2", {"/10.0.0.2"})}, {}});
  EXPECT_THAT(store.Lookup("/10.0.0.1"), IsEmpty());
  store.Apply({{}, {"pod"}});
  EXPECT_THAT(store.Lookup("/10.0.0.2"), IsEmpty());
  EXPECT_EQ(store.size(), 0u);
}

TEST(ResourceStore, ObserversHearNamesUntilTheyEnd) {
  ResourceStore store;
  auto recorder = std::make_shared<Recorder>();
  store.Observe(recorder);
  store.Apply({{ResourceOf("a", "1")}, {"unknown"}});
  store.Apply({{}, {"a"}});
  EXPECT_THAT(recorder->names, ElementsAre("a", "a"));
  std::weak_ptr<Recorder> ended = recorder;
  recorder.reset();
  EXPECT_TRUE(ended.expired());
  store.Apply({{ResourceOf("b", "1")}, {}});
}

}  // namespace
}  // namespace ambit::ads
