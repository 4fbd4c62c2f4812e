#include "control-plane/index/node_accounts.h"

#include <gtest/gtest.h>

#include "control-plane/index/objects_for_test.h"

namespace ambit::index {
namespace {

k8s::Pod PodAt(const std::string& name, const std::string& node, const std::string& phase) {
  return *PodOf("metadata: {name: " + name + ", namespace: shop}\nspec: {nodeName: " + node +
                ", serviceAccountName: seller}\nstatus: {phase: " + phase + "}");
}

TEST(NodeAccounts, AnAccountRunsWhereItsPodsAre) {
  NodeAccounts accounts;
  accounts.Put(PodAt("a", "n1", "Pending"));
  EXPECT_TRUE(accounts.Runs("n1", "shop", "seller"));
  EXPECT_FALSE(accounts.Runs("n2", "shop", "seller"));
  EXPECT_FALSE(accounts.Runs("n1", "shop", "buyer"));
  EXPECT_FALSE(accounts.Runs("n1", "other", "seller"));
}

TEST(NodeAccounts, TheLastPodTakesTheAccountAway) {
  NodeAccounts accounts;
  accounts.Put(PodAt("a", "n1", "Running"));
  accounts.Put(PodAt("b", "n1", "Running"));
  accounts.Put(PodAt("b", "n1", "Running"));
  accounts.Remove(PodAt("a", "n1", "Running"));
  EXPECT_TRUE(accounts.Runs("n1", "shop", "seller"));
  accounts.Put(PodAt("b", "n2", "Running"));
  EXPECT_FALSE(accounts.Runs("n1", "shop", "seller"));
  EXPECT_TRUE(accounts.Runs("n2", "shop", "seller"));
}

TEST(NodeAccounts, AnEndedPodCountsNoMore) {
  NodeAccounts accounts;
  accounts.Put(PodAt("a", "n1", "Running"));
  accounts.Put(PodAt("a", "n1", "Succeeded"));
  EXPECT_FALSE(accounts.Runs("n1", "shop", "seller"));
}

}  // namespace
}  // namespace ambit::index
