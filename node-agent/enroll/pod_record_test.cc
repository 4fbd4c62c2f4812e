#include "node-agent/enroll/pod_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace ambit::enroll {
namespace {

net::IpAddress Ip(const char* text) { return net::IpAddress::Parse(text).value(); }

podns::Sandbox Box(ino_t inode, std::vector<net::IpAddress> ips = {}) {
  return {.netns_path = "/run/netns/x", .netns = {1, inode}, .ips = std::move(ips)};
}

// A pod, and the kernel, tunnel and probe set that its steps change.
struct World {
  PodRecord record;
  std::set<ino_t> rules;
  std::optional<ino_t> tunnel;
  std::set<net::IpAddress> probes;
  bool forgotten = false;

  // What the running step has begun with.
  std::optional<net::NetnsId> begun_for;
  std::set<net::IpAddress> addresses;

  void Begin(Step step) {
    enroll::Begin(record, step);
    begun_for.reset();
    if (record.sandbox) begun_for = record.sandbox->netns;
    bool in = record.decision.wish == Wish::kCaptured && record.sandbox;
    addresses = in ? ProbeAddresses(record) : std::set<net::IpAddress>{};
    if (step == Step::kForget) forgotten = true;
    if (step == Step::kTunnelDel && record.decision.wish == Wish::kOutside && record.sandbox) {
      EXPECT_FALSE(rules.contains(record.sandbox->netns.inode)) << "the tunnel left first";
    }
  }
  void End(bool well) {
    Step step = record.running;
    if (step == Step::kNone || forgotten) return;
    if (!well) return FailStep(record, step);
    if (step == Step::kProgram || step == Step::kRepair) rules.insert(begun_for->inode);
    if (step == Step::kUndo) rules.erase(begun_for->inode);
    if (step == Step::kTunnelAdd) tunnel = begun_for->inode;
    if (step == Step::kTunnelDel) tunnel.reset();
    if (step == Step::kProbes) probes = addresses;
    if (step == Step::kVerify && !rules.contains(begun_for->inode)) return Distrust(record);
    Succeed(record, step, begun_for, addresses);
  }
  bool Advance() {
    if (forgotten || record.running != Step::kNone) return false;
    Step step = Next(record);
    if (step == Step::kNone) return false;
    Begin(step);
    return true;
  }
  // Everything goes well from here on.
  std::vector<Step> Settle() {
    std::vector<Step> steps;
    End(true);
    record.backing_off = false;
    while (Advance() && steps.size() < 50) {
      steps.push_back(record.running);
      End(true);
    }
    return steps;
  }
  void Wish(enroll::Wish wish) {
    Decision decision;
    decision.wish = wish;
    SetDecision(record, std::move(decision));
  }
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST(PodRecord, ALabelledPodIsProgrammedThenServedThenProbed) {
  World world;
  world.record.status_ips = {Ip("10.0.0.7")};
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  EXPECT_EQ(StateOf(world.record), State::kProgramming);
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kProgram, Step::kTunnelAdd, Step::kProbes));
  EXPECT_EQ(StateOf(world.record), State::kEnrolled);
}

TEST(PodRecord, UnlabellingTakesTheRulesOutFirst) {
  World world;
  world.record.status_ips = {Ip("10.0.0.7")};
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.Settle();
  world.Wish(Wish::kOutside);
  EXPECT_EQ(StateOf(world.record), State::kRemoving);
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kUndo, Step::kTunnelDel, Step::kProbes));
  EXPECT_EQ(StateOf(world.record), State::kOutside);
}

TEST(PodRecord, AnUnknownWishChangesNothing) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.Settle();
  world.Wish(Wish::kUnknown);
  EXPECT_THAT(world.Settle(), IsEmpty());
  EXPECT_EQ(world.tunnel, 1u);
}

TEST(PodRecord, AnEndedPodKeepsItsRulesSoThatItCannotTalkInClear) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.Settle();
  world.Wish(Wish::kGone);
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kTunnelDel, Step::kForget));
  EXPECT_TRUE(world.rules.contains(1));
}

TEST(PodRecord, WithoutANamespaceALabelledPodWaits) {
  World world;
  world.Wish(Wish::kCaptured);
  EXPECT_THAT(world.Settle(), IsEmpty());
  EXPECT_EQ(StateOf(world.record), State::kWaitingForNetns);
}

TEST(PodRecord, NobodyElseWorksOnAPodThatThePluginHas) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.record.offered = true;
  EXPECT_THAT(world.Settle(), IsEmpty());
  EXPECT_EQ(StateOf(world.record), State::kOffered);
  world.record.offered = false;
  world.record.touched = net::NetnsId{1, 1};
  world.record.programmed = world.record.verified = true;
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kTunnelAdd));
}

TEST(PodRecord, ARecreatedSandboxIsEnrolledAnewAndTheOldAddressLeavesTheProbes) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1, {Ip("10.0.0.7")}));
  world.Settle();
  SetSandbox(world.record, Box(2, {Ip("10.0.0.8")}));
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kProgram, Step::kTunnelAdd, Step::kProbes));
  EXPECT_EQ(world.probes, std::set{Ip("10.0.0.8")});
  EXPECT_EQ(world.tunnel, 2u);
}

TEST(PodRecord, ASandboxThatEndsIsTakenFromTheTunnelAndTheProbes) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1, {Ip("10.0.0.7")}));
  world.Settle();
  SetSandbox(world.record, std::nullopt);
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kTunnelDel, Step::kProbes));
}

TEST(PodRecord, AfterARestartCorrectRulesAreOnlyLookedAt) {
  World world;
  world.rules = {1};
  SetSandbox(world.record, Box(1));
  world.record.touched = net::NetnsId{1, 1};
  world.record.programmed = true;
  world.Wish(Wish::kCaptured);
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kVerify, Step::kTunnelAdd));
}

TEST(PodRecord, RulesThatHaveDriftedAreRepaired) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.Settle();
  world.rules.clear();
  world.record.verified = false;
  EXPECT_THAT(world.Settle(), ElementsAre(Step::kVerify, Step::kRepair));
  EXPECT_EQ(StateOf(world.record), State::kEnrolled);
}

TEST(PodRecord, ARepairThatFailedIsARepairAgainAndOneInANewSandboxIsNot) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.Settle();
  world.rules.clear();
  world.record.verified = false;
  ASSERT_TRUE(world.Advance());
  world.End(true);
  ASSERT_TRUE(world.Advance());
  ASSERT_EQ(world.record.running, Step::kRepair);
  world.End(false);
  world.record.backing_off = false;
  EXPECT_EQ(Next(world.record), Step::kRepair);
  SetSandbox(world.record, Box(2));
  EXPECT_EQ(Next(world.record), Step::kProgram);
}

TEST(PodRecord, ChangedAnnotationsMakeTheRulesDueForALook) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  world.Settle();
  Decision decision;
  decision.wish = Wish::kCaptured;
  decision.options.dns_capture = true;
  SetDecision(world.record, decision);
  EXPECT_EQ(Next(world.record), Step::kVerify);
}

TEST(PodRecord, AFailedStepWaitsAndAChangeOfWishEndsTheWait) {
  World world;
  world.Wish(Wish::kCaptured);
  SetSandbox(world.record, Box(1));
  ASSERT_TRUE(world.Advance());
  world.End(false);
  EXPECT_EQ(StateOf(world.record), State::kFailed);
  EXPECT_EQ(Next(world.record), Step::kNone);
  world.Wish(Wish::kOutside);
  // A program that failed may have left something.
  EXPECT_EQ(Next(world.record), Step::kUndo);
}

TEST(PodRecord, Ipv6AddressesStayOutOfTheProbesWhereIpv6IsOff) {
  PodRecord record;
  record.status_ips = {Ip("10.0.0.7"), Ip("fd00::7")};
  EXPECT_EQ(ProbeAddresses(record).size(), 2u);
  record.decision.options.ipv6 = false;
  EXPECT_EQ(ProbeAddresses(record), std::set{Ip("10.0.0.7")});
}

// Every order of up to seven events, then all goes well: the pod ends as wished.
class Interleavings {
 public:
  void Explore(const World& world, std::vector<int>& events, size_t depth) {
    Check(world, events);
    if (depth == 0) return;
    for (int event = 0; event < kEvents; ++event) {
      World next = world;
      Apply(next, event);
      events.push_back(event);
      Explore(next, events, depth - 1);
      events.pop_back();
    }
  }
  int checked() const { return checked_; }

 private:
  static constexpr int kEvents = 9;

  static void Apply(World& world, int event) {
    switch (event) {
      case 0:
        return world.Wish(Wish::kCaptured);
      case 1:
        return world.Wish(Wish::kOutside);
      case 2:
        return world.Wish(Wish::kGone);
      case 3:
        return SetSandbox(world.record, Box(1, {Ip("10.0.0.1")}));
      case 4:
        return SetSandbox(world.record, Box(2, {Ip("10.0.0.2")}));
      case 5:
        return SetSandbox(world.record, std::nullopt);
      case 6:
        world.Advance();
        return;
      case 7:
        return world.End(true);
      default:
        return world.End(false);
    }
  }

  void Check(World world, const std::vector<int>& events) {
    ++checked_;
    bool already_forgotten = world.forgotten;
    auto steps = world.Settle();
    std::string order = testing::PrintToString(events);
    ASSERT_LT(steps.size(), 12u) << order;
    if (already_forgotten) return;
    bool captured = world.record.decision.wish == Wish::kCaptured;
    if (captured && world.record.sandbox) {
      ino_t inode = world.record.sandbox->netns.inode;
      ASSERT_EQ(StateOf(world.record), State::kEnrolled) << order;
      ASSERT_TRUE(world.rules.contains(inode)) << order;
      ASSERT_EQ(world.tunnel, inode) << order;
      ASSERT_EQ(world.probes, ProbeAddresses(world.record)) << order;
    } else if (world.record.decision.wish != Wish::kUnknown) {
      ASSERT_FALSE(world.tunnel.has_value()) << order;
      ASSERT_TRUE(world.probes.empty()) << order;
      ASSERT_EQ(world.forgotten, world.record.decision.wish == Wish::kGone) << order;
    }
    if (world.record.decision.wish == Wish::kOutside && world.record.sandbox) {
      // A sandbox that was left while its rules were in is a namespace that ends.
      bool ours = world.record.touched.has_value();
      ASSERT_FALSE(ours) << order;
    }
  }

  int checked_ = 0;
};

TEST(PodRecord, EveryInterleavingEndsAsWished) {
  Interleavings interleavings;
  std::vector<int> events;
  interleavings.Explore(World{}, events, 6);
  EXPECT_GT(interleavings.checked(), 500000);
}

}  // namespace
}  // namespace ambit::enroll
