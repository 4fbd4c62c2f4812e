#include "ztunnel-lite/identity/local_identities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::identity {
namespace {

using testing::ElementsAre;

struct Pods {
  void Announce(const std::string& name, const std::string& trust_domain = "td") {
    state::Workload pod;
    pod.uid = name;
    pod.name = name;
    pod.ns = "ns";
    pod.node = "node";
    pod.service_account = "sa";
    pod.trust_domain = trust_domain;
    mesh.Upsert(std::make_shared<const state::Workload>(pod));
    local.Refresh();
  }

  state::MeshState mesh;
  std::vector<std::string> events;
  LocalIdentities local{
      mesh,
      "node",
      {[this](const state::Identity& i) { events.push_back("+" + i.trust_domain); },
       [this](const state::Identity& i) { events.push_back("-" + i.trust_domain); }}};
};

TEST(LocalIdentities, AppearWithTheFirstPodAndDisappearWithTheLast) {
  Pods pods;
  pods.Announce("a");
  pods.Announce("b");
  pods.local.Add("1", "ns", "a", "sa");
  pods.local.Add("2", "ns", "b", "sa");
  pods.local.Remove("1");
  EXPECT_THAT(pods.events, ElementsAre("+td"));
  pods.local.Remove("2");
  pods.local.Remove("2");
  EXPECT_THAT(pods.events, ElementsAre("+td", "-td"));
}

TEST(LocalIdentities, APodThatZdsNamesFirstIsResolvedWhenTheMeshKnowsIt) {
  Pods pods;
  pods.local.Add("1", "ns", "a", "sa");
  pods.local.Add("2", "ns", "a", "other");
  EXPECT_THAT(pods.events, ElementsAre());
  pods.Announce("a");
  EXPECT_THAT(pods.events, ElementsAre("+td"));
}

TEST(LocalIdentities, AChangedTrustDomainReplacesTheIdentity) {
  Pods pods;
  pods.local.Add("1", "ns", "a", "sa");
  pods.Announce("a", "old");
  pods.Announce("a", "new");
  EXPECT_THAT(pods.events, ElementsAre("+old", "+new", "-old"));
}

}  // namespace
}  // namespace ambit::identity
