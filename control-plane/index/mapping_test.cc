#include "control-plane/index/mapping.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "control-plane/index/objects_for_test.h"

namespace ambit::index {
namespace {

namespace wl = istio::workload;
using ::testing::HasSubstr;

wl::Workload Map(const std::string& pod_yaml, const k8s::Namespace& of_pod = {},
                 const ServicesByName& services = {}) {
  auto pod = PodOf(pod_yaml);
  EXPECT_TRUE(pod) << pod_yaml;
  auto workload = pod ? ToWorkload({}, *pod, of_pod, services) : std::nullopt;
  EXPECT_TRUE(workload) << pod_yaml;
  return workload.value_or(wl::Workload());
}

std::string TextOf(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

TEST(Mapping, APodOfADeploymentHasEveryField) {
  ServicesByName services{{"web", ServiceOf(R"(
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 8081}, {port: 82, targetPort: no}]
)")},
                          {"other", ServiceOf(R"(
metadata: {name: other, namespace: shop}
spec: {selector: {app: other}, ports: [{port: 80}]}
)")}};
  wl::Workload workload = Map(R"(
metadata:
  name: web-7f9c6d5b8-x2x4z
  namespace: shop
  labels: {app: web, version: v2, istio.io/dataplane-mode: ambient}
  annotations: {ambit.io/capacity: "3"}
  ownerReferences: [{kind: ReplicaSet, name: web-7f9c6d5b8, controller: true}]
spec:
  serviceAccountName: seller
  nodeName: node-1
  containers: [{ports: [{name: http, containerPort: 8080}]}]
status: {podIPs: [{ip: 10.0.0.7}, {ip: "fd00::7"}]}
)",
                              {}, services);
  EXPECT_EQ(TextOf(workload), R"(name: "web-7f9c6d5b8-x2x4z"
namespace: "shop"
addresses: "\n\000\000\007"
addresses: "\375\000\000\000\000\000\000\000\000\000\000\000\000\000\000\007"
tunnel_protocol: HBONE
trust_domain: "cluster.local"
service_account: "seller"
node: "node-1"
canonical_name: "web"
canonical_revision: "v2"
workload_name: "web"
cluster_id: "Kubernetes"
uid: "Kubernetes//Pod/shop/web-7f9c6d5b8-x2x4z"
services {
  key: "shop/web.shop.svc.cluster.local"
  value {
    ports {
      service_port: 80
      target_port: 8080
    }
    ports {
      service_port: 81
      target_port: 8081
    }
  }
}
capacity {
  value: 3
}
)");
}

TEST(Mapping, EndedPodsAndPodsWithoutAddressAreNotAnnounced) {
  for (const char* status :
       {"{}", "{podIP: 10.0.0.1, phase: Succeeded}", "{podIP: 10.0.0.1, phase: Failed}"}) {
    auto pod = PodOf(std::string("metadata: {name: a}\nstatus: ") + status);
    ASSERT_TRUE(pod);
    EXPECT_FALSE(ToWorkload({}, *pod, {}, {})) << status;
  }
}

TEST(Mapping, OnlySelectedOrRedirectedPodsSpeakHbone) {
  const std::string status = "\nstatus: {podIP: 10.0.0.1}";
  const k8s::Namespace ambient{"default", {{"istio.io/dataplane-mode", "ambient"}}, {}};
  EXPECT_EQ(Map("metadata: {name: a}" + status).tunnel_protocol(), wl::NONE);
  EXPECT_EQ(Map("metadata: {name: a}" + status, ambient).tunnel_protocol(), wl::HBONE);
  EXPECT_EQ(Map("metadata: {name: a, labels: {istio.io/dataplane-mode: none}}" + status, ambient)
                .tunnel_protocol(),
            wl::NONE);
  EXPECT_EQ(
      Map("metadata: {name: a, annotations: {ambient.istio.io/redirection: enabled}}" + status)
          .tunnel_protocol(),
      wl::HBONE);
  EXPECT_EQ(
      Map("metadata: {name: a, annotations: {ambient.istio.io/redirection: pending}}" + status)
          .tunnel_protocol(),
      wl::NONE);
}

TEST(Mapping, AHostNetworkPodNeverSpeaksHbone) {
  wl::Workload workload = Map(R"(
metadata: {name: a, labels: {istio.io/dataplane-mode: ambient},
           annotations: {ambient.istio.io/redirection: enabled}}
spec: {hostNetwork: true}
status: {podIP: 10.0.0.1}
)");
  EXPECT_EQ(workload.network_mode(), wl::HOST_NETWORK);
  EXPECT_EQ(workload.tunnel_protocol(), wl::NONE);
}

TEST(Mapping, AnUnreadyPodIsUnhealthy) {
  EXPECT_EQ(Map("metadata: {name: a}\nstatus: {podIP: 10.0.0.1, "
                "conditions: [{type: Ready, status: 'False'}]}")
                .status(),
            wl::UNHEALTHY);
}

struct OwnerCase {
  const char* owner;
  wl::WorkloadType type;
  const char* name;
};

TEST(Mapping, TheOwnerGivesTypeAndName) {
  const OwnerCase cases[] = {
      {"[]", wl::POD, "a"},
      {"[{kind: ReplicaSet, name: web-5d8, controller: true}]", wl::DEPLOYMENT, "web"},
      {"[{kind: StatefulSet, name: db, controller: true}]", wl::DEPLOYMENT, "db"},
      {"[{kind: Job, name: once-1, controller: true}]", wl::JOB, "once-1"},
      {"[{kind: Job, name: nightly-28123456, controller: true}]", wl::CRONJOB, "nightly"},
  };
  for (const OwnerCase& c : cases) {
    wl::Workload workload = Map(std::string("metadata: {name: a, ownerReferences: ") + c.owner +
                                "}\nstatus: {podIP: 10.0.0.1}");
    EXPECT_EQ(workload.workload_type(), c.type) << c.owner;
    EXPECT_EQ(workload.workload_name(), c.name) << c.owner;
    EXPECT_EQ(workload.canonical_name(), c.name) << c.owner;
    EXPECT_EQ(workload.canonical_revision(), "latest");
  }
}

TEST(Mapping, CanonicalLabelsWinInTheirOrder) {
  wl::Workload workload = Map(R"(
metadata: {name: a, labels: {app: x, app.kubernetes.io/name: y, app.kubernetes.io/version: "2",
           service.istio.io/canonical-revision: r}}
status: {podIP: 10.0.0.1}
)");
  EXPECT_EQ(workload.canonical_name(), "y");
  EXPECT_EQ(workload.canonical_revision(), "r");
}

TEST(Mapping, AServiceHasHostnameAddressesAndPorts) {
  auto service = ServiceOf(R"(
metadata: {name: web, namespace: shop}
spec:
  clusterIPs: [10.96.0.1, "fd00::1"]
  publishNotReadyAddresses: true
  ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 8081}]
)");
  ASSERT_TRUE(service);
  MeshNames names;
  names.cluster_domain = "example.org";
  EXPECT_EQ(ServiceName(names, *service), "shop/web.shop.svc.example.org");
  EXPECT_EQ(TextOf(ToService(names, *service)), R"(name: "web"
namespace: "shop"
hostname: "web.shop.svc.example.org"
addresses {
  address: "\n`\000\001"
}
addresses {
  address: "\375\000\000\000\000\000\000\000\000\000\000\000\000\000\000\001"
}
ports {
  service_port: 80
}
ports {
  service_port: 81
  target_port: 8081
}
load_balancing {
  health_policy: ALLOW_ALL
}
ip_families: DUAL
canonical: true
)");
}

TEST(Mapping, AServiceWithoutSelectorSelectsNoPod) {
  auto service = ServiceOf("metadata: {name: web}");
  auto pod = PodOf("metadata: {name: a, labels: {app: web}}");
  EXPECT_FALSE(Selects(*service, *pod));
}

}  // namespace
}  // namespace ambit::index
