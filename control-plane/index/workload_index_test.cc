#include "control-plane/index/workload_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/index/objects_for_test.h"

namespace ambit::index {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::shared_ptr<const k8s::Pod> Web(const std::string& name, const std::string& ip,
                                    const std::string& app = "web") {
  return PodOf("metadata: {name: " + name + ", namespace: shop, labels: {app: " + app +
               "}}\nspec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}\n" +
               "status: {podIP: " + ip + "}");
}

std::shared_ptr<const k8s::Service> WebService(const std::string& selector = "web",
                                               const std::string& target = "http") {
  return ServiceOf(
      "metadata: {name: web, namespace: shop}\nspec: {clusterIP: 10.96.0.1, selector: "
      "{app: " +
      selector + "}, ports: [{port: 80, targetPort: " + target + "}]}");
}

// "name" per put resource with its groups, "-name" per removed one.
std::vector<std::string> Lines(const Changes& changes) {
  std::vector<std::string> lines;
  for (const auto& resource : changes.put) {
    std::string line = resource->name;
    for (const std::string& group : resource->groups) line += " in " + group;
    lines.push_back(line);
  }
  for (const std::string& name : changes.removed) lines.push_back("-" + name);
  return lines;
}

constexpr char kA[] = "Kubernetes//Pod/shop/a";
constexpr char kAInWeb[] = "Kubernetes//Pod/shop/a in shop/web.shop.svc.cluster.local";
constexpr char kWeb[] = "shop/web.shop.svc.cluster.local";

istio::workload::Workload WorkloadOf(const Resource& resource) {
  istio::workload::Address address;
  EXPECT_TRUE(address.ParseFromString(resource.body));
  return address.workload();
}

TEST(WorkloadIndex, APodChangesOnlyItself) {
  WorkloadIndex index({});
  EXPECT_THAT(Lines(index.PutPod(Web("a", "10.0.0.1"))), ElementsAre(kA));
  EXPECT_THAT(Lines(index.PutPod(Web("b", "10.0.0.2"))), ElementsAre("Kubernetes//Pod/shop/b"));
  EXPECT_THAT(Lines(index.PutPod(Web("a", "10.0.0.3"))), ElementsAre(kA));
  EXPECT_THAT(Lines(index.PutPod(Web("a", "10.0.0.3"))), IsEmpty());
}

TEST(WorkloadIndex, AServiceChangesItselfAndThePodsThatItSelects) {
  WorkloadIndex index({});
  index.PutPod(Web("a", "10.0.0.1"));
  index.PutPod(Web("b", "10.0.0.2", "other"));
  EXPECT_THAT(Lines(index.PutService(WebService())), ElementsAre(kWeb, kAInWeb));
  EXPECT_THAT(Lines(index.PutService(WebService("other"))),
              ElementsAre(kA, "Kubernetes//Pod/shop/b in shop/web.shop.svc.cluster.local"));
  EXPECT_THAT(Lines(index.RemoveService(*WebService("other"))),
              ElementsAre("Kubernetes//Pod/shop/b", std::string("-") + kWeb));
}

TEST(WorkloadIndex, ANamedTargetPortIsThatOfEachPod) {
  WorkloadIndex index({});
  index.PutService(WebService());
  Changes changes = index.PutPod(Web("a", "10.0.0.1"));
  ASSERT_EQ(changes.put.size(), 1u);
  auto workload = WorkloadOf(*changes.put[0]);
  EXPECT_EQ(workload.services().at(kWeb).ports(0).target_port(), 8080u);
  changes = index.PutService(WebService("web", "9090"));
  ASSERT_EQ(changes.put.size(), 2u);
  EXPECT_EQ(WorkloadOf(*changes.put[1]).services().at(kWeb).ports(0).target_port(), 9090u);
}

TEST(WorkloadIndex, ARelabelledPodLeavesItsService) {
  WorkloadIndex index({});
  index.PutService(WebService());
  EXPECT_THAT(Lines(index.PutPod(Web("a", "10.0.0.1"))), ElementsAre(kAInWeb));
  EXPECT_THAT(Lines(index.PutPod(Web("a", "10.0.0.1", "other"))), ElementsAre(kA));
}

TEST(WorkloadIndex, ANamespaceLabelTurnsHboneOnAndOff) {
  WorkloadIndex index({});
  index.PutPod(Web("a", "10.0.0.1"));
  EXPECT_THAT(Lines(index.PutNamespace(NamespaceOf("metadata: {name: shop}"))), IsEmpty());
  Changes on = index.PutNamespace(
      NamespaceOf("metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}"));
  ASSERT_THAT(Lines(on), ElementsAre(kA));
  EXPECT_EQ(WorkloadOf(*on.put[0]).tunnel_protocol(), istio::workload::HBONE);
  Changes off = index.RemoveNamespace("shop");
  ASSERT_THAT(Lines(off), ElementsAre(kA));
  EXPECT_EQ(WorkloadOf(*off.put[0]).tunnel_protocol(), istio::workload::NONE);
}

TEST(WorkloadIndex, ARemovedOrEndedPodIsRemovedOnce) {
  WorkloadIndex index({});
  index.PutPod(Web("a", "10.0.0.1"));
  auto ended = PodOf(
      "metadata: {name: a, namespace: shop}\n"
      "status: {podIP: 10.0.0.1, phase: Succeeded}");
  EXPECT_THAT(Lines(index.PutPod(ended)), ElementsAre(std::string("-") + kA));
  EXPECT_THAT(Lines(index.RemovePod(*ended)), IsEmpty());
}

TEST(WorkloadIndex, TheSameContentHasTheSameVersionInAnotherProcess) {
  std::vector<std::string> versions;
  for (int run = 0; run < 2; ++run) {
    WorkloadIndex index({});
    for (int i = 0; i < 20; ++i) {
      index.PutService(ServiceOf("metadata: {name: s" + std::to_string(run == 0 ? i : 19 - i) +
                                 ", namespace: shop}\nspec: {selector: {app: web}}"));
    }
    versions.push_back(index.PutPod(Web("a", "10.0.0.1")).put.at(0)->version);
  }
  EXPECT_EQ(versions[0], versions[1]);
  EXPECT_EQ(versions[0].size(), 32u);
}

TEST(WorkloadIndex, AddressesAreAliasesExceptOfHostPods) {
  WorkloadIndex index({});
  EXPECT_THAT(index.PutPod(Web("a", "10.0.0.1")).put.at(0)->aliases, ElementsAre("/10.0.0.1"));
  EXPECT_THAT(index.PutService(WebService()).put.at(0)->aliases, ElementsAre("/10.96.0.1"));
  auto host = PodOf("metadata: {name: h}\nspec: {hostNetwork: true}\nstatus: {podIP: 192.0.2.1}");
  EXPECT_THAT(index.PutPod(host).put.at(0)->aliases, IsEmpty());
}

}  // namespace
}  // namespace ambit::index
