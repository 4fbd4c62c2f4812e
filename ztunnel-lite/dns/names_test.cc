#include "ztunnel-lite/dns/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Alias> Aliases(std::string_view name) {
  return AliasesOf(name, "ns1", "cluster.local");
}

std::vector<std::string> All(std::string name) {
  std::vector<std::string> all;
  Wildcards wildcards(std::move(name));
  for (auto next = wildcards.Next(); !next.empty(); next = wildcards.Next()) all.emplace_back(next);
  return all;
}

TEST(Names, OneLabelMeansAServiceOfTheClientsNamespace) {
  EXPECT_THAT(Aliases("web"), ElementsAre(Alias{"web"}, Alias{"web.ns1.svc.cluster.local"}));
}

TEST(Names, TwoLabelsMeanServiceAndNamespaceOrPodAndService) {
  EXPECT_THAT(Aliases("web.ns2"), ElementsAre(Alias{"web.ns2"}, Alias{"web.ns2.svc.cluster.local"},
                                              Alias{"web.ns2.ns1.svc.cluster.local"}));
}

TEST(Names, ThreeLabelsMayEndInSvc) {
  EXPECT_THAT(Aliases("web.ns2.svc"),
              ElementsAre(Alias{"web.ns2.svc"}, Alias{"web.ns2.svc.cluster.local"},
                          Alias{"web.ns2.svc.svc.cluster.local"}));
  EXPECT_THAT(Aliases("web-0.web.ns2"),
              ElementsAre(Alias{"web-0.web.ns2"}, Alias{"web-0.web.ns2.svc.cluster.local"}));
}

TEST(Names, FourLabelsAreShortForSomethingOnlyIfTheyEndInSvc) {
  EXPECT_THAT(Aliases("web-0.web.ns2.svc"),
              ElementsAre(Alias{"web-0.web.ns2.svc"}, Alias{"web-0.web.ns2.svc.cluster.local"}));
  EXPECT_THAT(Aliases("a.b.example.com"), ElementsAre(Alias{"a.b.example.com"}));
}

TEST(Names, ASearchDomainIsTakenOff) {
  EXPECT_THAT(Aliases("www.example.com.ns1.svc.cluster.local"),
              ElementsAre(Alias{"www.example.com.ns1.svc.cluster.local"},
                          Alias{"www.example.com", "www.example.com"},
                          Alias{"www.example.com.svc.cluster.local", "www.example.com"},
                          Alias{"www.example.com.ns1", "www.example.com.ns1"},
                          Alias{"www.example.com.ns1.svc", "www.example.com.ns1.svc"}));
}

TEST(Names, AServiceOfAnotherNamespaceBehindTheOwnSearchDomainIsFound) {
  auto aliases = Aliases("web.ns2.ns1.svc.cluster.local");
  EXPECT_THAT(aliases, testing::Contains(Alias{"web.ns2.svc.cluster.local", "web.ns2"}));
}

TEST(Names, AGivenSearchListTakesThePlaceOfAPods) {
  const std::string search[] = {"corp.example"};
  EXPECT_THAT(AliasesOf("web.ns2.corp.example", "ns1", "cluster.local", search),
              testing::Contains(Alias{"web.ns2.svc.cluster.local", "web.ns2"}));
  EXPECT_THAT(AliasesOf("a.example.com.ns1.svc.cluster.local", "ns1", "cluster.local", search),
              ElementsAre(Alias{"a.example.com.ns1.svc.cluster.local"}));
}

TEST(Names, AFullNameComesFirstAndOnlyOnce) {
  auto aliases = Aliases("web.ns1.svc.cluster.local");
  EXPECT_EQ(aliases.front(), Alias{"web.ns1.svc.cluster.local"});
  EXPECT_EQ(std::ranges::count(aliases, "web.ns1.svc.cluster.local", &Alias::name), 1);
}

TEST(Names, ASearchDomainAloneIsNothingElse) {
  EXPECT_THAT(Aliases("cluster.local"),
              ElementsAre(Alias{"cluster.local"}, Alias{"cluster.local.svc.cluster.local"},
                          Alias{"cluster.local.ns1.svc.cluster.local"}));
  EXPECT_THAT(Aliases("notcluster.local").size(), 3u);
}

TEST(Names, OnlyNamesUnderSvcAreTheClustersServices) {
  EXPECT_TRUE(IsClusterService("web.ns1.svc.cluster.local", "cluster.local"));
  EXPECT_FALSE(IsClusterService("web.ns1.svc.cluster.local", "other.domain"));
  EXPECT_FALSE(IsClusterService("www.example.com", "cluster.local"));
  EXPECT_FALSE(IsClusterService("svc.cluster.local", "cluster.local"));
}

TEST(Names, APodIsNamedByFiveLabels) {
  auto split = SplitPodName("web-0.web.ns1.svc.cluster.local", "cluster.local");
  EXPECT_EQ(split.pod, "web-0");
  EXPECT_EQ(split.service, "web.ns1.svc.cluster.local");
  EXPECT_TRUE(SplitPodName("web.ns1.svc.cluster.local", "cluster.local").pod.empty());
  EXPECT_TRUE(SplitPodName("a.b.web.ns1.svc.cluster.local", "cluster.local").pod.empty());
  EXPECT_TRUE(SplitPodName("a.b.c.d.cluster.local", "cluster.local").pod.empty());
}

TEST(Names, WildcardsComeFromTheMostSpecificToTheTopLevel) {
  EXPECT_THAT(All("a.bb.ccc.com"), ElementsAre("*.bb.ccc.com", "*.ccc.com", "*.com"));
  EXPECT_THAT(All("com"), IsEmpty());
  EXPECT_THAT(All(""), IsEmpty());
}

}  // namespace
}  // namespace ambit::dns
