#include "ztunnel-lite/state/mesh_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

net::IpAddress Ip(const char* text) { return net::IpAddress::Parse(text).value(); }

Workload Pod(const std::string& name, const char* ip) {
  Workload pod;
  pod.uid = "Kubernetes//Pod/default/" + name;
  pod.name = name;
  pod.ns = "default";
  pod.node = "node-1";
  pod.addresses = {Ip(ip)};
  return pod;
}

Service Web(const std::string& ns = "default") {
  Service service;
  service.name = "web";
  service.ns = ns;
  service.hostname = "web." + ns + ".svc.cluster.local";
  service.vips = {{"", Ip("10.96.0.9")}};
  service.ports = {{80, 8080}};
  return service;
}

template <typename T>
std::shared_ptr<const T> Share(T value) {
  return std::make_shared<const T>(std::move(value));
}

std::vector<std::string> EndpointNames(const MeshState& mesh, const Service& service) {
  std::vector<std::string> names;
  for (const auto& endpoint : mesh.EndpointsOf(service)) names.push_back(endpoint.workload->name);
  std::ranges::sort(names);
  return names;
}

TEST(MeshState, FindsAPodByWhatZdsSaysOfIt) {
  MeshState mesh;
  mesh.Upsert(Share(Pod("a", "10.0.0.1")));
  EXPECT_NE(mesh.FindLocalWorkload("default", "a", "default", "node-1"), nullptr);
  EXPECT_NE(mesh.FindLocalWorkload("default", "a", "default", ""), nullptr);
  EXPECT_EQ(mesh.FindLocalWorkload("default", "a", "default", "node-2"), nullptr);
  EXPECT_EQ(mesh.FindLocalWorkload("default", "a", "other", "node-1"), nullptr);
  EXPECT_EQ(mesh.FindLocalWorkload("other", "a", "default", "node-1"), nullptr);
}

TEST(MeshState, AnAddressFollowsItsWorkloadThroughChangeAndRemoval) {
  MeshState mesh;
  mesh.Upsert(Share(Pod("a", "10.0.0.1")));
  mesh.Upsert(Share(Pod("a", "10.0.0.2")));
  EXPECT_EQ(mesh.FindWorkloadByAddress({"", Ip("10.0.0.1")}), nullptr);
  ASSERT_NE(mesh.FindWorkloadByAddress({"", Ip("10.0.0.2")}), nullptr);
  EXPECT_EQ(mesh.FindWorkloadByAddress({"other", Ip("10.0.0.2")}), nullptr);
  mesh.RemoveAddress("Kubernetes//Pod/default/a");
  EXPECT_EQ(mesh.FindWorkloadByAddress({"", Ip("10.0.0.2")}), nullptr);
  EXPECT_THAT(mesh.AllWorkloads(), IsEmpty());
}

TEST(MeshState, EndpointsAreStagedUntilTheirServiceComes) {
  MeshState mesh;
  Workload pod = Pod("a", "10.0.0.1");
  pod.services[Web().Key()] = {{80, 8080}};
  mesh.Upsert(Share(pod));
  auto staged = mesh.StagedEndpoints();
  ASSERT_EQ(staged.size(), 1u);
  EXPECT_EQ(staged.at(Web().Key()).at(0).workload->uid, pod.uid);
  mesh.Upsert(Share(Web()));
  EXPECT_THAT(mesh.StagedEndpoints(), IsEmpty());
  mesh.RemoveAddress(Web().Key());
  EXPECT_THAT(mesh.StagedEndpoints(), SizeIs(1));
}

TEST(MeshState, OfWorkloadsWithOneAddressThePodWithHboneWinsThenTheNewest) {
  MeshState mesh;
  Workload hbone_pod = Pod("hbone", "10.0.0.1");
  hbone_pod.tunnel_protocol = TunnelProtocol::kHbone;
  Workload entry = Pod("entry", "10.0.0.1");
  entry.uid = "Kubernetes/networking.istio.io/WorkloadEntry/default/entry";
  entry.tunnel_protocol = TunnelProtocol::kHbone;
  mesh.Upsert(Share(hbone_pod));
  mesh.Upsert(Share(Pod("plain", "10.0.0.1")));
  mesh.Upsert(Share(Pod("newer", "10.0.0.1")));
  mesh.Upsert(Share(entry));
  EXPECT_EQ(mesh.FindWorkloadByAddress({"", Ip("10.0.0.1")})->name, "hbone");
  mesh.RemoveAddress(hbone_pod.uid);
  EXPECT_EQ(mesh.FindWorkloadByAddress({"", Ip("10.0.0.1")})->name, "newer");
  mesh.RemoveAddress("Kubernetes//Pod/default/newer");
  mesh.RemoveAddress("Kubernetes//Pod/default/plain");
  EXPECT_EQ(mesh.FindWorkloadByAddress({"", Ip("10.0.0.1")})->name, "entry");
}

TEST(MeshState, AHostNetworkPodIsNotFoundByItsAddress) {
  MeshState mesh;
  Workload pod = Pod("a", "10.0.0.1");
  pod.host_network = true;
  mesh.Upsert(Share(pod));
  EXPECT_EQ(mesh.FindWorkloadByAddress({"", Ip("10.0.0.1")}), nullptr);
  EXPECT_NE(mesh.FindWorkload(pod.uid), nullptr);
}

TEST(MeshState, EndpointsThatComeBeforeTheirServiceAreThereWhenItComes) {
  MeshState mesh;
  Workload pod = Pod("a", "10.0.0.1");
  Service web = Web();
  pod.services[web.Key()] = {{80, 8080}};
  mesh.Upsert(Share(pod));
  EXPECT_EQ(mesh.FindService({"default", web.hostname}), nullptr);
  mesh.Upsert(Share(web));
  EXPECT_THAT(EndpointNames(mesh, web), ElementsAre("a"));
  EXPECT_TRUE(mesh.HasEndpoint(web, pod.uid));
}

TEST(MeshState, EndpointsFollowTheirWorkloads) {
  MeshState mesh;
  Service web = Web();
  mesh.Upsert(Share(web));
  for (const char* name : {"a", "b", "c"}) {
    Workload pod = Pod(name, "10.0.0.1");
    pod.services[web.Key()] = {{80, 8080}};
    mesh.Upsert(Share(pod));
  }
  EXPECT_THAT(EndpointNames(mesh, web), ElementsAre("a", "b", "c"));
  mesh.RemoveAddress("Kubernetes//Pod/default/a");
  EXPECT_THAT(EndpointNames(mesh, web), ElementsAre("b", "c"));
  mesh.Upsert(Share(Pod("c", "10.0.0.1")));  // leaves the service
  EXPECT_THAT(EndpointNames(mesh, web), ElementsAre("b"));
  Workload pod = Pod("b", "10.0.0.7");
  pod.services[web.Key()] = {{80, 9090}};
  mesh.Upsert(Share(pod));
  ASSERT_THAT(mesh.EndpointsOf(web), SizeIs(1));
  EXPECT_EQ(mesh.EndpointsOf(web)[0].ports.at(80), 9090);
}

TEST(MeshState, TheHealthPolicyDecidesAboutUnhealthyEndpointsEvenWhenItChangesLater) {
  MeshState mesh;
  Service web = Web();
  Workload pod = Pod("a", "10.0.0.1");
  pod.services[web.Key()] = {{80, 8080}};
  pod.healthy = false;
  mesh.Upsert(Share(pod));
  mesh.Upsert(Share(web));
  EXPECT_THAT(EndpointNames(mesh, *mesh.FindService({web.ns, web.hostname})), IsEmpty());
  web.allow_unhealthy = true;
  mesh.Upsert(Share(web));
  EXPECT_THAT(EndpointNames(mesh, *mesh.FindService({web.ns, web.hostname})), ElementsAre("a"));
}

TEST(MeshState, ASharedVipBelongsToTheClientsNamespaceThenTheCanonicalThenTheFirst) {
  MeshState mesh;
  mesh.Upsert(Share(Web("one")));
  mesh.Upsert(Share(Web("two")));
  NetworkAddress vip{"", Ip("10.96.0.9")};
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "two")->ns, "two");
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "three")->ns, "one");
  mesh.Upsert(Share(Web("one")));  // an update does not lose its place
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "three")->ns, "one");
  Service canonical = Web("two");
  canonical.canonical = true;
  mesh.Upsert(Share(canonical));
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "three")->ns, "two");
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "one")->ns, "one");
  mesh.RemoveAddress("two/web.two.svc.cluster.local");
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "two")->ns, "one");
}

TEST(MeshState, APrivateServiceIsSeenByItsOwnNamespaceOnly) {
  MeshState mesh;
  Service service = Web();
  service.namespace_private = true;
  mesh.Upsert(Share(service));
  NetworkAddress vip{"", Ip("10.96.0.9")};
  EXPECT_EQ(mesh.FindServiceByAddress(vip, "other"), nullptr);
  EXPECT_NE(mesh.FindServiceByAddress(vip, "default"), nullptr);
  EXPECT_NE(mesh.FindServiceByAddress(vip), nullptr);
  EXPECT_EQ(mesh.FindServiceByHostname(service.hostname, "other"), nullptr);
  EXPECT_NE(mesh.FindServiceByHostname(service.hostname, "default"), nullptr);
}

TEST(MeshState, APrefixIsFoundWhereNoExactAddressIsVisibleLongestFirst) {
  MeshState mesh;
  auto add = [&](const char* ns, const char* cidr, bool exact_private) {
    Service service = Web(ns);
    service.vips.clear();
    if (exact_private) {
      service.vips = {{"", Ip("10.1.2.3")}};
      service.namespace_private = true;
    } else {
      service.cidr_vips = {{"", net::Cidr::Parse(cidr).value()}};
    }
    mesh.Upsert(Share(service));
  };
  add("wide", "10.0.0.0/8", false);
  add("narrow", "10.1.0.0/16", false);
  add("exact", "", true);
  NetworkAddress inside{"", Ip("10.1.2.3")};
  EXPECT_EQ(mesh.FindServiceByAddress(inside, "exact")->ns, "exact");
  EXPECT_EQ(mesh.FindServiceByAddress(inside, "x")->ns, "narrow");
  EXPECT_EQ(mesh.FindServiceByAddress(inside, "wide")->ns, "wide");
  EXPECT_EQ(mesh.FindServiceByAddress({"", Ip("10.2.0.1")}, "x")->ns, "wide");
  EXPECT_EQ(mesh.FindServiceByAddress({"n", Ip("10.2.0.1")}, "x"), nullptr);
  EXPECT_EQ(mesh.FindServiceByAddress({"", Ip("fd00::1")}, "x"), nullptr);
  mesh.RemoveAddress("narrow/web.narrow.svc.cluster.local");
  EXPECT_EQ(mesh.FindServiceByAddress(inside, "x")->ns, "wide");
}

TEST(MeshState, AnUpdatedServiceIsNoLongerFoundByItsOldAddresses) {
  MeshState mesh;
  Service service = Web();
  service.cidr_vips = {{"", net::Cidr::Parse("10.5.0.0/16").value()}};
  mesh.Upsert(Share(service));
  service.vips = {{"", Ip("10.96.0.10")}};
  service.cidr_vips.clear();
  mesh.Upsert(Share(service));
  EXPECT_EQ(mesh.FindServiceByAddress({"", Ip("10.96.0.9")}, "default"), nullptr);
  EXPECT_EQ(mesh.FindServiceByAddress({"", Ip("10.5.0.1")}, "default"), nullptr);
  EXPECT_NE(mesh.FindServiceByAddress({"", Ip("10.96.0.10")}, "default"), nullptr);
}

TEST(MeshState, PoliciesApplyByScopeAndByName) {
  MeshState mesh;
  auto add = [&](const char* ns, const char* name, PolicyScope scope) {
    Policy policy;
    policy.resource_name = std::string(ns) + "/" + name;
    policy.name = name;
    policy.ns = ns;
    policy.scope = scope;
    mesh.Upsert(Share(policy));
  };
  add("root", "global", PolicyScope::kGlobal);
  add("default", "ns", PolicyScope::kNamespace);
  add("other", "ns", PolicyScope::kNamespace);
  add("default", "chosen", PolicyScope::kWorkloadSelector);
  add("default", "unchosen", PolicyScope::kWorkloadSelector);
  Workload pod = Pod("a", "10.0.0.1");
  pod.authorization_policies = {"default/chosen", "default/unknown", "root/global"};
  auto names = [&] {
    std::vector<std::string> out;
    for (const auto& policy : mesh.PoliciesFor(pod)) out.push_back(policy->resource_name);
    return out;
  };
  EXPECT_THAT(names(), ElementsAre("root/global", "default/ns", "default/chosen"));
  add("default", "ns", PolicyScope::kWorkloadSelector);  // scope changes
  EXPECT_THAT(names(), ElementsAre("root/global", "default/chosen"));
  mesh.RemovePolicy("root/global");
  EXPECT_THAT(names(), ElementsAre("default/chosen"));
}

TEST(MeshState, ABatchSaysWhatChangedOnceItIsComplete) {
  MeshState mesh;
  std::vector<std::pair<bool, bool>> batches;
  mesh.OnChange([&](MeshState::Batch b) { batches.emplace_back(b.workloads, b.policies); });
  mesh.Upsert(Share(Pod("a", "10.0.0.1")));
  mesh.Commit();
  Policy policy;
  policy.resource_name = "a/b";
  mesh.Upsert(Share(policy));
  mesh.Commit();
  mesh.Commit();
  EXPECT_THAT(batches,
              ElementsAre(std::pair(true, false), std::pair(false, true), std::pair(false, false)));
}

TEST(MeshState, FindsAWorkloadByItsOwnHostname) {
  MeshState mesh;
  Workload gateway = Pod("gw", "10.0.0.1");
  gateway.hostname = "gw.example.com";
  mesh.Upsert(Share(gateway));
  EXPECT_NE(mesh.FindWorkloadByHostname({"default", "gw.example.com"}), nullptr);
  EXPECT_EQ(mesh.FindWorkloadByHostname({"other", "gw.example.com"}), nullptr);
}

ServicePtr FindName(const MeshState& mesh, std::string_view hostname, const std::string& client_ns,
                    const std::function<bool(const Service&)>& accept = nullptr) {
  ServicePtr found;
  mesh.VisitNames(
      [&](const MeshState::NameView& names) { found = names.Find(hostname, client_ns, accept); });
  return found;
}

TEST(MeshState, AServiceIsFoundByNameAmongThoseTheCallerTakes) {
  MeshState mesh;
  Service first = Web("one");
  first.hostname = "*.example.com";
  Service second = Web("two");
  second.hostname = "*.example.com";
  second.canonical = true;
  mesh.Upsert(Share(first));
  mesh.Upsert(Share(second));
  EXPECT_EQ(FindName(mesh, "*.example.com", "elsewhere")->ns, "two");
  EXPECT_EQ(FindName(mesh, "*.example.com", "one")->ns, "one");
  auto not_two = [](const Service& service) { return service.ns != "two"; };
  EXPECT_EQ(FindName(mesh, "*.example.com", "elsewhere", not_two)->ns, "one");
  auto none = [](const Service&) { return false; };
  EXPECT_EQ(FindName(mesh, "*.example.com", "one", none), nullptr);
  EXPECT_EQ(FindName(mesh, "www.example.com", "one"), nullptr);
}

TEST(MeshState, AServiceThatIsPrivateToItsNamespaceHasNoNameElsewhere) {
  MeshState mesh;
  Service hidden = Web("one");
  hidden.namespace_private = true;
  mesh.Upsert(Share(hidden));
  EXPECT_NE(FindName(mesh, hidden.hostname, "one"), nullptr);
  EXPECT_EQ(FindName(mesh, hidden.hostname, "two"), nullptr);
}

TEST(MeshState, AVisitorOfNamesSeesEndpointsToo) {
  MeshState mesh;
  mesh.Upsert(Share(Web()));
  Workload pod = Pod("a", "10.0.0.1");
  pod.services = {{"default/" + Web().hostname, {{80, 8080}}}};
  mesh.Upsert(Share(pod));
  mesh.VisitNames([](const MeshState::NameView& names) {
    ASSERT_THAT(names.Endpoints(Web()), SizeIs(1));
    EXPECT_EQ(names.Endpoints(Web())[0].workload->name, "a");
    EXPECT_THAT(names.Endpoints(Web("other")), IsEmpty());
  });
}

}  // namespace
}  // namespace ambit::state
