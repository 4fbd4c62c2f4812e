#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <tuple>

#include "node-agent/redirect/describe.h"
#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/testing/netns_lab.h"

namespace ambit::redirect {
namespace {

using ::testing::HasSubstr;

// DNS capture, bypass of inbound, virtual interfaces, IPv6.
using Combination = std::tuple<bool, bool, bool, bool>;

Options MakeOptions(const Combination& combination) {
  Options options;
  options.dns_capture = std::get<0>(combination);
  options.bypass_inbound = std::get<1>(combination);
  if (std::get<2>(combination)) options.virtual_interfaces = {"vm0", "br-vm1"};
  options.ipv6 = std::get<3>(combination);
  return options;
}

std::string Name(const Combination& combination) {
  std::string name = std::get<3>(combination) ? "dual" : "v4only";
  if (std::get<0>(combination)) name += "_dns";
  if (std::get<1>(combination)) name += "_bypass";
  if (std::get<2>(combination)) name += "_virtual";
  return name;
}

std::string Golden(const Combination& combination, const std::string& extension) {
  return "node-agent/redirect/testdata/" + Name(combination) + extension;
}

class EveryCombination : public ::testing::TestWithParam<Combination> {};

TEST_P(EveryCombination, PlanIsTheGoldenText) {
  auto plan = PlanRedirect(MakeOptions(GetParam()));
  ASSERT_TRUE(plan.has_value()) << plan.error().message();
  EXPECT_EQ(CompareWithGolden(Golden(GetParam(), ".golden"), Describe(*plan)), "");
}

TEST_P(EveryCombination, TheKernelListsTheGoldenRulesetHoweverOftenThePlanRuns) {
  const TestNetns pod;
  auto plan = PlanRedirect(MakeOptions(GetParam()));
  ASSERT_TRUE(plan.has_value());
  std::string routing;
  for (int round = 0; round < 3; ++round) {
    auto done = pod.In([&] { return netlink::Run(*plan); });
    ASSERT_TRUE(done.has_value()) << done.error().message();
    EXPECT_EQ(CompareWithGolden(Golden(GetParam(), ".nft"), pod.Shell("nft -s list ruleset")), "");
    const std::string now = pod.Shell(
        "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all | sort");
    if (round > 0) EXPECT_EQ(now, routing);
    routing = now;
  }
}

TEST_P(EveryCombination, WhatAnotherPlanLeftIsReplaced) {
  const TestNetns pod;
  auto plan = PlanRedirect(MakeOptions(GetParam()));
  const auto& [dns, bypass, virtual_interfaces, ipv6] = GetParam();
  const Combination opposite(!dns, !bypass, !virtual_interfaces, !ipv6);
  for (const Combination& other : {opposite, Combination(true, false, true, true)}) {
    ASSERT_TRUE(
        pod.In([&] { return netlink::Run(*PlanRedirect(MakeOptions(other))); }).has_value());
    ASSERT_TRUE(pod.In([&] { return netlink::Run(*plan); }).has_value());
    auto differences = pod.In([&] { return FindDifferences(MakeOptions(GetParam())); });
    ASSERT_TRUE(differences.has_value()) << differences.error().message();
    EXPECT_THAT(*differences, ::testing::IsEmpty()) << "after " << Name(other);
  }
}

INSTANTIATE_TEST_SUITE_P(Plan, EveryCombination,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(), ::testing::Bool(),
                                            ::testing::Bool()),
                         [](const auto& info) { return Name(info.param); });

TEST(Plan, SurvivesItsJsonForm) {
  auto plan = PlanRedirect({.dns_capture = true, .virtual_interfaces = {"vm0"}});
  ASSERT_TRUE(plan.has_value());
  auto again = netlink::FromJson(netlink::ToJson(*plan));
  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_EQ(*again, *plan);
}

TEST(Plan, EveryMessageIsNamedByWhatItDoes) {
  auto plan = PlanRedirect({});
  ASSERT_TRUE(plan.has_value());
  std::string names;
  for (const auto& transaction : plan->transactions) {
    for (const auto& message : transaction.messages) names += message.name + "\n";
  }
  EXPECT_EQ(names, Describe(*plan));
}

TEST(Plan, AnInterfaceNameThatTheKernelWouldRefuseIsAnError) {
  for (const char* name : {"", ".", "..", "a/b", "a b", "a:1", "sixteencharacter", "tab\t"}) {
    auto plan = PlanRedirect({.virtual_interfaces = {"eth0", name}});
    ASSERT_FALSE(plan.has_value()) << name;
    EXPECT_EQ(plan.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(plan.error().message(), HasSubstr("\"" + std::string(name) + "\""));
  }
  EXPECT_TRUE(PlanRedirect({.virtual_interfaces = {"fifteen-letters"}}).has_value());
  EXPECT_FALSE(
      PlanRedirect({.virtual_interfaces = std::vector<std::string>(65, "eth0")}).has_value());
}

TEST(Plan, ProbeSourcesOfTheWrongFamilyAreAnError) {
  Options options;
  std::swap(options.probe_v4, options.probe_v6);
  EXPECT_EQ(PlanRedirect(options).error().code(), ErrorCode::kInvalidArgument);
}

TEST(Describe, WhatItDoesNotKnowIsPrintedByTypeAndLength) {
  Bytes message(16, std::byte{0});
  message[0] = std::byte{16};
  message[4] = std::byte{99};
  EXPECT_EQ(DescribeMessage(NETLINK_ROUTE, message), "message of type 99 with 16 bytes");
  EXPECT_EQ(DescribeMessage(NETLINK_NETFILTER, message), "message of type 99 with 16 bytes");
  EXPECT_EQ(DescribeMessage(NETLINK_ROUTE, {}), "no message");
}

}  // namespace
}  // namespace ambit::redirect
