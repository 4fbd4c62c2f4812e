#include "ztunnel-lite/dns/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::dns {
namespace {

using state::IpFamilies;
using state::Service;
using state::Workload;

constexpr char kForward[] = "forward";
constexpr char kNoData[] = "no data";

net::IpAddress Ip(const std::string& text) { return net::IpAddress::Parse(text).value(); }

struct NetworkIp {
  std::string network, ip;
};
Service ServiceOf(const std::string& ns, const std::string& hostname,
                  const std::vector<NetworkIp>& vips) {
  Service service;
  service.name = hostname.substr(0, hostname.find('.'));
  service.ns = ns;
  service.hostname = hostname;
  for (const auto& [network, ip] : vips) service.vips.push_back({network, Ip(ip)});
  return service;
}

Workload PodOf(const std::string& ns, const std::string& name, const std::string& service,
               const std::vector<std::string>& ips, const std::string& network = "") {
  Workload pod;
  pod.uid = "Kubernetes//Pod/" + ns + "/" + name;
  pod.ns = ns;
  pod.name = name;
  pod.network = network;
  for (const auto& ip : ips) pod.addresses.push_back(Ip(ip));
  pod.services[ns + "/" + service] = {};
  return pod;
}

class Resolving : public ::testing::Test {
 protected:
  void Add(Service service) { mesh_.Upsert(std::make_shared<const Service>(std::move(service))); }
  void Add(Workload pod) { mesh_.Upsert(std::make_shared<const Workload>(std::move(pod))); }

  void SetUp() override {
    Add(ServiceOf("ns1", "web.ns1.svc.cluster.local", {{"", "10.96.0.1"}, {"", "fd96::1"}}));
    Add(ServiceOf("ns2", "web.ns2.svc.cluster.local", {{"", "10.96.0.2"}}));
    Add(ServiceOf("ns2", "api.ns2.svc.cluster.local", {{"", "10.96.0.3"}}));
    Add(ServiceOf("ns1", "www.example.com", {{"", "240.240.0.1"}}));
    Add(ServiceOf("ns1", "*.example.org", {{"", "240.240.0.2"}}));
    Add(ServiceOf("ns1", "*.sub.example.org", {{"", "240.240.0.3"}}));
    Add(ServiceOf("ns1", "db.ns1.svc.cluster.local", {}));
    Add(PodOf("ns1", "db-0", "db.ns1.svc.cluster.local", {"10.1.0.1", "fd01::1"}));
    Add(PodOf("ns1", "db-1", "db.ns1.svc.cluster.local", {"10.1.0.2", "fd01::2"}));
  }

  // "forward", "no data", or the addresses, behind "alias -> " where there is one.
  std::string Ask(const std::string& name, net::Family family = net::Family::kIpv4,
                  Client client = {.ns = "ns1", .network = "", .cluster_domain = "cluster.local"}) {
    auto answer = Resolve(name, family, client, mesh_);
    if (answer.kind == Resolution::Kind::kForward) return kForward;
    std::string text = answer.alias.empty() ? "" : answer.alias + " -> ";
    if (answer.kind == Resolution::Kind::kNoData) return text + kNoData;
    for (const auto& address : answer.addresses) {
      text += (text.empty() || text.ends_with("> ") ? "" : " ") + address.ToString();
    }
    return text;
  }
  std::string AskIpv6(const std::string& name) { return Ask(name, net::Family::kIpv6); }

  state::MeshState mesh_;
};

TEST_F(Resolving,
       OfServicesThatShareANameThePreferredNamespaceComesAfterTheClientsAndTheCanonical) {
  constexpr char kHost[] = "shared.example.com";
  auto ask = [this, kHost](std::string_view ns, std::string_view preferred) {
    return Ask(
        kHost, net::Family::kIpv4,
        {.ns = ns, .network = "", .cluster_domain = "cluster.local", .preferred_ns = preferred});
  };
  Add(ServiceOf("ns3", kHost, {{"", "240.240.3.3"}}));
  Add(ServiceOf("ns4", kHost, {{"", "240.240.4.4"}}));
  EXPECT_EQ(ask("ns1", ""), "240.240.3.3");
  EXPECT_EQ(ask("ns1", "ns4"), "240.240.4.4");
  EXPECT_EQ(ask("ns1", "ns9"), "240.240.3.3");
  EXPECT_EQ(ask("ns3", "ns4"), "240.240.3.3");
  auto canonical = ServiceOf("ns5", kHost, {{"", "240.240.5.5"}});
  canonical.canonical = true;
  Add(canonical);
  EXPECT_EQ(ask("ns1", "ns4"), "240.240.5.5");
}

TEST_F(Resolving, NamesAsClientsWriteThem) {
  const std::pair<const char*, const char*> cases[] = {
      // The client's own namespace.
      {"web", "10.96.0.1"},
      {"web.ns1", "10.96.0.1"},
      {"web.ns1.svc", "10.96.0.1"},
      {"web.ns1.svc.cluster.local", "10.96.0.1"},
      // Another namespace.
      {"web.ns2", "10.96.0.2"},
      {"web.ns2.svc", "10.96.0.2"},
      {"web.ns2.svc.cluster.local", "10.96.0.2"},
      {"api", kForward},
      {"api.ns2", "10.96.0.3"},
      // As resolv.conf's search list completes them (ndots:5).
      {"web.ns2.ns1.svc.cluster.local", "web.ns2 -> 10.96.0.2"},
      {"web.ns2.svc.ns1.svc.cluster.local", "web.ns2.svc -> 10.96.0.2"},
      {"web.ns2.svc.cluster.local.ns1.svc.cluster.local", "web.ns2.svc.cluster.local -> 10.96.0.2"},
      {"web.ns2.svc.cluster.local.svc.cluster.local", "web.ns2.svc.cluster.local -> 10.96.0.2"},
      {"web.ns2.svc.cluster.local.cluster.local", "web.ns2.svc.cluster.local -> 10.96.0.2"},
      {"web.svc.cluster.local", "web -> 10.96.0.1"},
      // Hosts outside the cluster.
      {"www.example.com", "240.240.0.1"},
      {"www.example.com.ns1.svc.cluster.local", "www.example.com -> 240.240.0.1"},
      {"www.example.com.svc.cluster.local", "www.example.com -> 240.240.0.1"},
      {"www.example.com.cluster.local", "www.example.com -> 240.240.0.1"},
      {"example.com", kForward},
      {"other.example.com", kForward},
      {"www.example.com.ns2.svc.cluster.local", kForward},
      // Wildcards: never the domain itself, the most specific first, no alias.
      {"a.example.org", "240.240.0.2"},
      {"a.b.example.org", "240.240.0.2"},
      {"a.sub.example.org", "240.240.0.3"},
      {"sub.example.org", "240.240.0.2"},
      {"example.org", kForward},
      {"a.example.org.ns1.svc.cluster.local", "240.240.0.2"},
      // Headless services and their pods.
      {"db", "10.1.0.1 10.1.0.2"},
      {"db.ns1.svc.cluster.local", "10.1.0.1 10.1.0.2"},
      {"db-0.db", "10.1.0.1"},
      {"db-0.db.ns1", "10.1.0.1"},
      {"db-1.db.ns1.svc", "10.1.0.2"},
      {"db-1.db.ns1.svc.cluster.local", "10.1.0.2"},
      {"db-1.db.ns1.ns1.svc.cluster.local", "db-1.db.ns1 -> 10.1.0.2"},
      {"db-2.db.ns1.svc.cluster.local", kForward},
      {"db-0.web.ns1.svc.cluster.local", kForward},
      // Not ours.
      {"", kForward},
      {"nobody", kForward},
      {"cluster.local", kForward},
      {"svc.cluster.local", kForward},
      {"kubernetes.default.svc.cluster.local", kForward},
  };
  for (const auto& [name, expected] : cases) EXPECT_EQ(Ask(name), expected) << name;
}

TEST_F(Resolving, EachFamilyOnItsOwn) {
  EXPECT_EQ(AskIpv6("web"), "fd96::1");
  EXPECT_EQ(AskIpv6("web.ns2"), kNoData);
  EXPECT_EQ(AskIpv6("web.ns2.ns1.svc.cluster.local"), std::string("web.ns2 -> ") + kNoData);
  EXPECT_EQ(AskIpv6("db"), "fd01::1 fd01::2");
  EXPECT_EQ(AskIpv6("db-0.db"), "fd01::1");
  EXPECT_EQ(AskIpv6("nobody"), kForward);
}

TEST_F(Resolving, NoIpv6WhereItIsSwitchedOff) {
  Client client{.ns = "ns1", .network = "", .cluster_domain = "cluster.local", .ipv6 = false};
  EXPECT_EQ(Ask("web", net::Family::kIpv6, client), kNoData);
  EXPECT_EQ(Ask("db", net::Family::kIpv6, client), kNoData);
  EXPECT_EQ(Ask("web", net::Family::kIpv4, client), "10.96.0.1");
}

TEST_F(Resolving, AServicesOwnFamiliesBind) {
  auto only6 = ServiceOf("ns1", "six.ns1.svc.cluster.local", {{"", "10.96.0.6"}, {"", "fd96::6"}});
  only6.ip_families = IpFamilies::kIpv6Only;
  Add(only6);
  EXPECT_EQ(Ask("six"), kNoData);
  EXPECT_EQ(AskIpv6("six"), "fd96::6");
  auto only4 = only6;
  only4.ip_families = IpFamilies::kIpv4Only;
  Add(only4);
  EXPECT_EQ(Ask("six"), "10.96.0.6");
  EXPECT_EQ(AskIpv6("six"), kNoData);
}

TEST_F(Resolving, OnlyAddressesOfTheClientsNetworkCount) {
  Add(ServiceOf("ns1", "far.ns1.svc.cluster.local", {{"north", "10.96.1.1"}}));
  Add(ServiceOf("ns1", "both.ns1.svc.cluster.local", {{"north", "10.96.1.2"}, {"", "10.96.0.7"}}));
  Client north{.ns = "ns1", .network = "north", .cluster_domain = "cluster.local"};
  EXPECT_EQ(Ask("far"), kForward);
  EXPECT_EQ(Ask("far", net::Family::kIpv4, north), "10.96.1.1");
  EXPECT_EQ(Ask("both"), "10.96.0.7");
  EXPECT_EQ(Ask("both", net::Family::kIpv4, north), "10.96.1.2");
}

TEST_F(Resolving, PodsOfAnotherNetworkAreNoAddresses) {
  Add(PodOf("ns1", "db-9", "db.ns1.svc.cluster.local", {"10.1.0.9"}, "north"));
  EXPECT_EQ(Ask("db"), "10.1.0.1 10.1.0.2");
  EXPECT_EQ(Ask("db-9.db"), kNoData);
}

TEST_F(Resolving, AServiceWithAPrefixAloneIsForwarded) {
  auto prefix = ServiceOf("ns1", "range.example.com", {});
  prefix.cidr_vips.push_back({"", net::Cidr::Parse("192.0.2.0/24").value()});
  Add(prefix);
  EXPECT_EQ(Ask("range.example.com"), kForward);
}

TEST_F(Resolving, AHeadlessHostOutsideTheClusterIsForwarded) {
  Add(ServiceOf("ns1", "external.example.net", {}));
  Add(PodOf("ns1", "entry", "external.example.net", {"192.0.2.1"}));
  EXPECT_EQ(Ask("external.example.net"), kForward);
}

TEST_F(Resolving, AHeadlessServiceWithoutEndpointsIsForwarded) {
  Add(ServiceOf("ns1", "empty.ns1.svc.cluster.local", {}));
  EXPECT_EQ(Ask("empty"), kForward);
  EXPECT_EQ(Ask("empty.ns1.svc.cluster.local"), kForward);
}

TEST_F(Resolving, UnhealthyPodsAreLeftOutUnlessTheServiceWantsThem) {
  auto sick = PodOf("ns1", "db-1", "db.ns1.svc.cluster.local", {"10.1.0.2"});
  sick.healthy = false;
  Add(sick);
  EXPECT_EQ(Ask("db"), "10.1.0.1");
  EXPECT_EQ(Ask("db-1.db"), kForward);
  auto tolerant = ServiceOf("ns1", "db.ns1.svc.cluster.local", {});
  tolerant.allow_unhealthy = true;
  Add(tolerant);
  EXPECT_EQ(Ask("db"), "10.1.0.1 10.1.0.2");
  EXPECT_EQ(Ask("db-1.db"), "10.1.0.2");
}

TEST_F(Resolving, AServiceThatIsPrivateToAnotherNamespaceIsForwarded) {
  auto hidden = ServiceOf("ns2", "api.ns2.svc.cluster.local", {{"", "10.96.0.3"}});
  hidden.namespace_private = true;
  Add(hidden);
  EXPECT_EQ(Ask("api.ns2"), kForward);
  Client own{.ns = "ns2", .network = "", .cluster_domain = "cluster.local"};
  EXPECT_EQ(Ask("api", net::Family::kIpv4, own), "10.96.0.3");
}

TEST_F(Resolving, OfSeveralServicesWithANameTheClientsNamespaceWins) {
  auto other = ServiceOf("ns2", "www.example.com", {{"", "240.240.0.9"}});
  other.canonical = true;
  Add(other);
  EXPECT_EQ(Ask("www.example.com"), "240.240.0.1");
  Client third{.ns = "ns3", .network = "", .cluster_domain = "cluster.local"};
  EXPECT_EQ(Ask("www.example.com", net::Family::kIpv4, third), "240.240.0.9");
}

TEST_F(Resolving, AnExactNameBeatsAWildcardAndAServiceWithoutAddressDoesNotCount) {
  Add(ServiceOf("ns1", "www.example.org", {{"", "240.240.0.4"}}));
  EXPECT_EQ(Ask("www.example.org"), "240.240.0.4");
  Add(ServiceOf("ns1", "www.example.org", {}));
  EXPECT_EQ(Ask("www.example.org"), "240.240.0.2");
}

TEST_F(Resolving, AnotherClusterDomainIsTheClustersToo) {
  Add(ServiceOf("ns1", "web.ns1.svc.corp.example", {{"", "10.96.0.8"}}));
  Client client{.ns = "ns1", .network = "", .cluster_domain = "corp.example"};
  EXPECT_EQ(Ask("web", net::Family::kIpv4, client), "10.96.0.8");
  EXPECT_EQ(Ask("web.ns1.svc.corp.example", net::Family::kIpv4, client), "10.96.0.8");
  EXPECT_EQ(Ask("web.ns1.svc.cluster.local", net::Family::kIpv4, client), "10.96.0.1");
}

TEST_F(Resolving, AnAddressSharedByTwoPodsIsGivenOnce) {
  Add(PodOf("ns1", "db-2", "db.ns1.svc.cluster.local", {"10.1.0.1"}));
  EXPECT_EQ(Ask("db"), "10.1.0.1 10.1.0.2");
}

}  // namespace
}  // namespace ambit::dns
