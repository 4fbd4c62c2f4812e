#include "lib/k8s/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string ErrorOf(const std::string& text, const std::string& file = "a.yaml") {
  auto read = ParseManifest(file, text);
  return read ? "no error" : read.error().message();
}

template <typename T>
T Only(const std::string& text, const std::string& file = "a.yaml") {
  auto read = ParseManifest(file, text);
  if (!read) {
    ADD_FAILURE() << read.error().message();
    return {};
  }
  if (read->objects.size() != 1 || !std::holds_alternative<T>(read->objects[0])) {
    ADD_FAILURE() << "not one object of the kind";
    return {};
  }
  return std::get<T>(read->objects[0]);
}

constexpr char kPod[] = R"(
apiVersion: v1
kind: Pod
metadata:
  name: web-7f9c6d5b8-x2x4z
  namespace: shop
  uid: 0b4f7d9e-1111-2222-3333-444455556666
  labels: {app: web, istio.io/dataplane-mode: ambient}
  annotations: {ambit.io/netns: /run/netns/web}
  ownerReferences:
  - {kind: Node, name: other}
  - {kind: ReplicaSet, name: web-7f9c6d5b8, controller: true}
spec:
  serviceAccountName: seller
  nodeName: node-1
  containers:
  - name: app
    ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]
  - name: side
    ports: [{name: admin, containerPort: 9000, protocol: TCP}]
status:
  phase: Running
  podIP: 10.0.0.9
  podIPs: [{ip: 10.0.0.7}, {ip: "fd00::7"}]
  conditions: [{type: Ready, status: "False"}]
)";

TEST(Manifest, APodHasEveryFieldThatTheMeshUses) {
  Pod pod = Only<Pod>(kPod);
  EXPECT_EQ(pod.uid, "0b4f7d9e-1111-2222-3333-444455556666");
  EXPECT_EQ(pod.Key(), "shop/web-7f9c6d5b8-x2x4z");
  EXPECT_EQ(pod.labels["istio.io/dataplane-mode"], "ambient");
  EXPECT_EQ(pod.annotations["ambit.io/netns"], "/run/netns/web");
  EXPECT_EQ(pod.owner_kind, "ReplicaSet");
  EXPECT_EQ(pod.owner_name, "web-7f9c6d5b8");
  EXPECT_EQ(pod.service_account, "seller");
  EXPECT_EQ(pod.node_name, "node-1");
  EXPECT_FALSE(pod.host_network);
  EXPECT_EQ(pod.phase, PodPhase::kRunning);
  EXPECT_FALSE(pod.ready);
  EXPECT_THAT(pod.ips,
              ElementsAre(*net::IpAddress::Parse("10.0.0.7"), *net::IpAddress::Parse("fd00::7")));
  EXPECT_THAT(pod.ports, ElementsAre(ContainerPort{"http", 8080}, ContainerPort{"admin", 9000}));
}

TEST(Manifest, AShortPodHasTheDefaultsOfTheApi) {
  Pod pod = Only<Pod>("{kind: Pod, metadata: {name: a}, status: {podIP: 10.0.0.9}}");
  EXPECT_EQ(pod.namespace_name, "default");
  EXPECT_EQ(pod.service_account, "default");
  EXPECT_EQ(pod.phase, PodPhase::kPending);
  EXPECT_TRUE(pod.ready);
  EXPECT_THAT(pod.ips, ElementsAre(*net::IpAddress::Parse("10.0.0.9")));
}

TEST(Manifest, AMissingUidIsDerivedTheSameWayForEver) {
  EXPECT_EQ(Only<Pod>("{kind: Pod, metadata: {name: a}}").uid, DerivedUid("default", "a"));
  EXPECT_EQ(DerivedUid("default", "a"), "04ebd2d2-b606-87a8-a883-0fa6848a3b46");
  EXPECT_NE(DerivedUid("a", "b"), DerivedUid("b", "a"));
}

TEST(Manifest, AServiceKeepsTcpPortsOnlyAndItsVirtualAddresses) {
  Service service = Only<Service>(R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, "fd00:96::1"]
  selector: {app: web}
  publishNotReadyAddresses: true
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: raw, port: 81, targetPort: 8081}
  - {name: same, port: 82}
  - {name: dns, port: 53, protocol: UDP}
)");
  EXPECT_THAT(service.cluster_ips, SizeIs(2));
  EXPECT_TRUE(service.publish_not_ready_addresses);
  EXPECT_EQ(service.selector["app"], "web");
  EXPECT_THAT(service.ports,
              ElementsAre(ServicePort{"http", 80, "http"}, ServicePort{"raw", 81, uint16_t{8081}},
                          ServicePort{"same", 82, uint16_t{82}}));
}

TEST(Manifest, AHeadlessServiceHasNoVirtualAddress) {
  EXPECT_THAT(
      Only<Service>("{kind: Service, metadata: {name: a}, spec: {clusterIP: None}}").cluster_ips,
      SizeIs(0));
}

TEST(Manifest, ListsAndDocumentsAreFlattenedInOrder) {
  auto read = ParseManifest("a.yaml", R"(
kind: PodList
items:
- metadata: {name: a}
- metadata: {name: b}
---
kind: List
items:
- kind: Namespace
  metadata: {name: shop}
)");
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_THAT(read->objects, SizeIs(3));
  EXPECT_EQ(std::get<Pod>(read->objects[1]).name, "b");
  EXPECT_EQ(std::get<Namespace>(read->objects[2]).name, "shop");
}

TEST(Manifest, JsonIsReadAsJson) {
  EXPECT_EQ(Only<Namespace>(R"({"kind":"Namespace","metadata":{"name":"a","labels":{"k":"v"}}})",
                            "a.json")
                .labels["k"],
            "v");
  EXPECT_THAT(ErrorOf("kind: Pod", "a.json"), StartsWith("a.json: document 1: not JSON"));
}

TEST(Manifest, OtherKindsAreIgnoredWithANote) {
  auto read =
      ParseManifest("a.yaml",
                    "{kind: Deployment, apiVersion: apps/v1, metadata: {name: web}}\n---\n"
                    "{kind: Service, apiVersion: serving.knative.dev/v1, metadata: {name: k}}"
                    "\n---\n"
                    "{kind: Service, metadata: {name: ext}, spec: {type: ExternalName}}");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_THAT(read->objects, SizeIs(0));
  EXPECT_THAT(read->ignored,
              ElementsAre("Deployment web (apps/v1) is not used by the mesh and ignored",
                          HasSubstr("knative"), HasSubstr("ext")));
}

TEST(Manifest, ErrorsNameFileDocumentObjectAndField) {
  EXPECT_EQ(ErrorOf("kind: Namespace\nmetadata: {name: n}\n---\n"
                    "kind: Pod\nmetadata: {name: web}\nspec: {hostNetwork: 'yes'}\n"),
            "a.yaml: document 2: Pod web: spec.hostNetwork is a string, not true or false");
}

struct BadCase {
  const char* yaml;
  const char* part;
};

TEST(Manifest, WrongFieldsAreErrors) {
  const BadCase cases[] = {
      {"just text", "is a string, not an object"},
      {"{kind: Pod}", "metadata.name must be a Kubernetes name"},
      {"{kind: 5}", "kind is a number, not a string"},
      {"{metadata: {name: a}}", "has no kind"},
      {"{kind: Pod, metadata: {name: ../a}}", "metadata.name must be"},
      {"{kind: Pod, metadata: {name: a, namespace: 'B C'}}", "metadata.namespace must be"},
      {"{kind: Pod, metadata: {name: a, labels: {version: 1.0}}}",
       "metadata.labels[\"version\"] is a number, not a string; quote it"},
      {"{kind: Pod, metadata: {name: a, labels: [x]}}", "metadata.labels is a array"},
      {"{kind: Pod, metadata: {name: a, uid: 'a b'}}", "metadata.uid is not a uid"},
      {"{kind: Pod, metadata: {name: a}, spec: {serviceAccountName: A/B}}", "serviceAccountName"},
      {"{kind: Pod, metadata: {name: a}, spec: {nodeName: A}}", "spec.nodeName must be"},
      {"{kind: Pod, metadata: {name: a}, spec: {containers: {}}}", "spec.containers is a object"},
      {"{kind: Pod, metadata: {name: a}, spec: {containers: [{ports: [{}]}]}}",
       "spec.containers[0].ports[0] has no containerPort"},
      {"{kind: Pod, metadata: {name: a}, spec: {containers: [{ports: [{containerPort: 65616}]}]}}",
       "containerPort is not a port"},
      {"{kind: Pod, metadata: {name: a}, status: {podIPs: [{ip: 10.0.0.300}]}}",
       "status.podIPs[0].ip is not an IP address: \"10.0.0.300\""},
      {"{kind: Pod, metadata: {name: a}, status: {phase: Sleeping}}", "status.phase is no pod"},
      {"{kind: Service, metadata: {name: a}, spec: {clusterIP: x}}", "spec.clusterIP is not an IP"},
      {"{kind: Service, metadata: {name: a}, spec: {ports: [{port: 0}]}}", "is not a port"},
      {"{kind: Service, metadata: {name: a}, spec: {ports: [{port: -1}]}}", "is not a port"},
      {"{kind: Service, metadata: {name: a}, spec: {ports: [{}]}}", "spec.ports[0] has no port"},
      {"{kind: List, items: [{metadata: {name: a}}]}", "has no kind"},
  };
  for (const BadCase& bad : cases) {
    EXPECT_THAT(ErrorOf(bad.yaml), HasSubstr(bad.part)) << bad.yaml;
  }
}

TEST(Manifest, LargeAndDeepTextsAreRefused) {
  EXPECT_THAT(ErrorOf(std::string(kMaxManifestBytes + 1, ' ')), HasSubstr("split it"));
  EXPECT_THAT(ErrorOf(std::string(100000, '['), "a.json"), HasSubstr("a.json"));
  std::string deep = std::string(70, '[') + std::string(70, ']');
  EXPECT_THAT(ErrorOf(deep, "a.json"), HasSubstr("deeper than 64"));
}

TEST(Manifest, HiddenAndOtherFilesAreNoManifests) {
  EXPECT_TRUE(IsManifestName("a.yaml") && IsManifestName("a.yml") && IsManifestName("a.json"));
  EXPECT_FALSE(IsManifestName(".a.yaml") || IsManifestName("a.yaml~") || IsManifestName("a.txt"));
}

}  // namespace
}  // namespace ambit::k8s
