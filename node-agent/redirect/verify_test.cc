#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/testing/netns_lab.h"

namespace ambit::redirect {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Verify : public ::testing::Test {
 protected:
  Verify() { Run(*PlanRedirect(options_)); }

  void Run(const netlink::Program& program) {
    auto done = pod_.In([&] { return netlink::Run(program); });
    EXPECT_TRUE(done.has_value()) << done.error().message();
  }
  std::vector<std::string> Differences() {
    auto found = pod_.In([&] { return FindDifferences(options_); });
    EXPECT_TRUE(found.has_value()) << found.error().message();
    return found.value_or(std::vector<std::string>{"error"});
  }
  std::string Shell(const std::string& command) { return pod_.Shell(command); }
  // Deletes the n-th rule of a chain, counted from 1.
  void DeleteRule(const std::string& chain, int n) {
    Shell("nft delete rule inet ambit " + chain + " handle $(nft -a list chain inet ambit " +
          chain + " | sed -n 's/.*counter.*# handle //p' | sed -n " + std::to_string(n) + "p)");
  }
  void RepairedBy(const Result<netlink::Program>& program) {
    Run(*program);
    EXPECT_THAT(Differences(), IsEmpty());
  }

  Options options_{.dns_capture = true};
  TestNetns pod_;
};

TEST_F(Verify, APodThatWasNeverProgrammedMissesEverything) {
  Run(PlanUndo());
  EXPECT_THAT(
      Differences(),
      UnorderedElementsAre("table inet ambit is missing",
                           "the IPv4 rule fwmark 0x111/0xfff lookup 100 pref 32764 is missing",
                           "the IPv4 route local default dev lo table 100 is missing",
                           "the IPv6 rule fwmark 0x111/0xfff lookup 100 pref 32764 is missing",
                           "the IPv6 route local default dev lo table 100 is missing"));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, AMissingRuleIsNamedWithItsPlaceAndWords) {
  DeleteRule("nat-output", 6);
  EXPECT_THAT(Differences(),
              ElementsAre("rule 6 of chain nat-output is missing: meta l4proto == tcp "
                          "meta mark & 0xfff == 0x111 counter accept "
                          "comment \"replies to the tunnel\""));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, AChangedRuleIsMissingAndForeignAtOnce) {
  Shell(
      "nft replace rule inet ambit mangle-output handle "
      "$(nft -a list chain inet ambit mangle-output | sed -n 's/.*counter.*# handle //p') "
      "ct mark and 0xfff == 0x112 counter meta mark set ct mark");
  EXPECT_THAT(Differences(),
              ElementsAre(HasSubstr("rule 1 of chain mangle-output is missing: ct mark & 0xfff == "
                                    "0x111 counter meta mark set ct mark"),
                          HasSubstr("rule 1 of chain mangle-output is not ours: ct mark & 0xfff == "
                                    "0x112 counter meta mark set ct mark")));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, ARuleOfSomebodyElseInOurTableIsReported) {
  Shell("nft insert rule inet ambit nat-output tcp dport 80-90 limit rate 5/second return");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("rule 1 of chain nat-output is not ours: ")));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, AnotherOrderIsReported) {
  DeleteRule("nat-output", 1);
  Shell(
      "nft add rule inet ambit nat-output meta l4proto tcp ip daddr 169.254.7.127 counter accept "
      "comment \\\"to the source of kubelet\\'s probes\\\"");
  EXPECT_THAT(Differences(), ElementsAre("the rules of chain nat-output are in another order"));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, AMissingChainIsReported) {
  Shell("nft flush chain inet ambit raw-output; nft delete chain inet ambit raw-output");
  EXPECT_THAT(Differences(), ElementsAre("chain raw-output is missing"));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, AChainOfSomebodyElseIsReportedAndGoesWithARepair) {
  Shell("nft add chain inet ambit mine '{ type filter hook input priority 0; policy drop; }'");
  EXPECT_THAT(Differences(), ElementsAre("chain mine is not ours"));
  Run(*PlanRedirect(options_));
  EXPECT_THAT(Differences(), ElementsAre("chain mine is not ours"));
  RepairedBy(PlanRepair(options_));
}

TEST_F(Verify, AnEmptyChainThatOtherOptionsLeftIsNoDifferenceButItsRulesAre) {
  options_ = {};
  EXPECT_THAT(Differences(),
              ::testing::Contains(HasSubstr("rule 1 of chain raw-output is not ours: "
                                            "meta l4proto == udp th dport == 53")));
  RepairedBy(PlanRedirect(options_));
  Shell("nft 'add chain inet ambit raw-output { policy drop; }'");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("policy drop;\" instead of")));
  RepairedBy(PlanRepair(options_));
  EXPECT_THAT(Shell("nft list table inet ambit"), ::testing::Not(HasSubstr("raw")));
}

TEST_F(Verify, AChainWithAnotherHookIsReportedAndComesBackWithARepair) {
  Shell(
      "nft flush chain inet ambit mangle-output; nft delete chain inet ambit mangle-output;"
      "nft add chain inet ambit mangle-output '{ type filter hook input priority 7; }'");
  EXPECT_THAT(Differences(),
              ElementsAre("chain mangle-output is \"type filter hook input priority 7; policy "
                          "accept;\" instead of \"type route hook output priority -150; policy "
                          "accept;\"",
                          HasSubstr("rule 1 of chain mangle-output is missing")));
  RepairedBy(PlanRepair(options_));
}

TEST_F(Verify, ATableThatIsSwitchedOffIsReported) {
  Shell("nft add table inet ambit '{ flags dormant; }'");
  EXPECT_THAT(Differences(), ElementsAre("table inet ambit is switched off (dormant)"));
  RepairedBy(PlanRepair(options_));
}

TEST_F(Verify, EachMissingRuleAndRouteIsReported) {
  Shell("ip rule del pref 32764");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("IPv4 rule")));
  Shell("ip -6 rule del pref 32764");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("IPv4 rule"), HasSubstr("IPv6 rule")));
  RepairedBy(PlanRedirect(options_));
  Shell("ip route flush table 100");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("IPv4 route")));
  Shell("ip -6 route flush table 100");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("IPv4 route"), HasSubstr("IPv6 route")));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, ARuleWithAnotherMarkIsNotOurs) {
  Shell("ip rule del pref 32764; ip rule add fwmark 0x111 pref 32764 table 100");
  EXPECT_THAT(Differences(), ElementsAre(HasSubstr("IPv4 rule")));
}

TEST_F(Verify, WithIpv6OffWhatIsLeftOfItIsReported) {
  options_.ipv6 = false;
  EXPECT_THAT(Differences(), ::testing::Contains("the IPv6 route local default dev lo table 100 is "
                                                 "there although IPv6 is off"));
  RepairedBy(PlanRedirect(options_));
}

TEST_F(Verify, APodWithIpv6DisabledInTheKernelNeedsNoIpv6Route) {
  Run(PlanUndo());
  Shell("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1");
  RepairedBy(PlanRedirect(options_));
  Run(*PlanRedirect(options_));
  Run(PlanUndo());
  EXPECT_EQ(Shell("nft list ruleset; ip -6 rule | grep fwmark || true"), "");
}

TEST_F(Verify, CountersThatCountAreNoDifference) {
  Shell("nft add rule inet ambit mangle-prerouting counter packets 5 bytes 500");
  DeleteRule("mangle-prerouting", 2);
  EXPECT_THAT(Differences(), IsEmpty());
}

TEST(Undo, LeavesNothingOfOursAndAllOfOthers) {
  const TestNetns pod;
  pod.Shell(
      "iptables-nft -t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 82;"
      "iptables-nft -A INPUT -s 10.0.0.0/8 -j DROP; ip6tables-nft -A INPUT -p udp -j ACCEPT;"
      "nft add table inet other; nft add chain inet other c '{ type nat hook output priority 0; }';"
      "nft add rule inet other c tcp dport 99 redirect to :98; nft add table ip ambit;"
      "ip rule add fwmark 0x222 pref 32000 table 100; ip rule add fwmark 0x111/0xfff pref 31000 "
      "table 100; ip route add 192.0.2.0/24 dev lo table 100");
  const std::string look =
      "nft list ruleset; iptables-nft-save | grep -v '^#'; ip rule; ip -6 rule;"
      "ip route show table 100; ip -6 route show table all | sort";
  const std::string before = pod.Shell(look);
  for (int round = 0; round < 2; ++round) {
    const Options options{.dns_capture = true, .virtual_interfaces = {"vm0"}};
    ASSERT_TRUE(pod.In([&] { return netlink::Run(*PlanRedirect(options)); }).has_value());
    EXPECT_NE(pod.Shell(look), before);
    for (int again = 0; again < 2; ++again) {
      auto undone = pod.In([] { return netlink::Run(PlanUndo()); });
      ASSERT_TRUE(undone.has_value()) << undone.error().message();
      EXPECT_EQ(pod.Shell(look), before);
    }
  }
}

TEST(Undo, WorksInANamespaceThatNeverHadAnything) {
  const TestNetns pod;
  auto undone = pod.In([] { return netlink::Run(PlanUndo()); });
  EXPECT_TRUE(undone.has_value()) << undone.error().message();
}

TEST(Plan, TakesOverAPodThatIstiosAgentCaptured) {
  const TestNetns pod;
  pod.Shell(
      "nft add table inet istio-ambient-nat;"
      "nft add chain inet istio-ambient-nat output '{ type nat hook output priority -100; }';"
      "nft add rule inet istio-ambient-nat output tcp dport 80 redirect to :15001;"
      "nft add table inet istio-ambient-mangle");
  const auto tables = [&pod] { return pod.Shell("nft list tables | sort"); };
  ASSERT_TRUE(pod.In([] { return netlink::Run(*PlanRedirect({})); }).has_value());
  EXPECT_EQ(tables(),
            "table inet ambit\ntable inet istio-ambient-mangle\ntable inet istio-ambient-nat\n");
  for (int round = 0; round < 2; ++round) {
    auto done = pod.In([] { return netlink::Run(*PlanRedirect({.take_over_istio = true})); });
    ASSERT_TRUE(done.has_value()) << done.error().message();
    EXPECT_EQ(tables(), "table inet ambit\n");
  }
}

TEST(Plan, WorksInANamespaceWhoseLoopbackIsStillDown) {
  const TestNetns pod;
  pod.Shell("ip link set lo down");
  auto done = pod.In([] { return netlink::Run(*PlanRedirect({})); });
  ASSERT_TRUE(done.has_value()) << done.error().message();
  EXPECT_THAT(*pod.In([] { return FindDifferences({}); }), IsEmpty());
}

}  // namespace
}  // namespace ambit::redirect
