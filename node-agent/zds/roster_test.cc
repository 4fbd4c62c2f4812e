#include "node-agent/zds/roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

namespace ambit::zds {
namespace {

using Kind = Request::Kind;
using Verdict = Roster::Verdict;

Workload Pod(const std::string& uid, ino_t inode = 1) {
  return {uid, {uid, "ns", "sa"}, std::make_shared<const UniqueFd>(), {1, inode}};
}

// "add a", "snapshot": what the connection is sent until it has all, everything acknowledged.
std::vector<std::string> Drain(Roster& roster, Roster::ConnectionId id) {
  std::vector<std::string> sent;
  while (auto request = roster.Next(id)) {
    static constexpr const char* kNames[] = {"add ", "keep ", "del ", "snapshot"};
    sent.push_back(kNames[static_cast<int>(request->kind)] + request->workload.uid);
    EXPECT_TRUE(roster.Answered(id, "").has_value());
  }
  return sent;
}

TEST(Roster, ASnapshotNamesEveryPodAndThenEnds) {
  Roster roster;
  roster.Set(Pod("a"));
  roster.Set({"b", {"b", "ns", "sa"}, nullptr, {}});
  auto id = roster.Connect();
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("add a", "keep b", "snapshot"));
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kServed);
  EXPECT_EQ(roster.VerdictOf("b"), Verdict::kPending);
}

TEST(Roster, OneMessageIsInFlightUntilItIsAnswered) {
  Roster roster;
  roster.Set(Pod("a"));
  auto id = roster.Connect();
  ASSERT_TRUE(roster.Next(id).has_value());
  EXPECT_FALSE(roster.Next(id).has_value());
  ASSERT_TRUE(roster.Answered(id, "").has_value());
  EXPECT_TRUE(roster.Next(id).has_value());
}

TEST(Roster, AConnectionCountsOnlyAfterItsSnapshot) {
  Roster roster;
  auto old_one = roster.Connect();
  Drain(roster, old_one);
  auto silent = roster.Connect();
  roster.Set(Pod("a"));
  EXPECT_EQ(roster.newest(), old_one);
  EXPECT_THAT(Drain(roster, old_one), testing::ElementsAre("add a"));
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kServed);
  EXPECT_THAT(Drain(roster, silent), testing::ElementsAre("add a", "snapshot"));
  EXPECT_EQ(roster.newest(), silent);
}

TEST(Roster, OnlyTheNewestGetsAddsAndAllGetDeletes) {
  Roster roster;
  roster.Set(Pod("a"));
  auto older = roster.Connect();
  auto newer = roster.Connect();
  Drain(roster, older);
  Drain(roster, newer);
  roster.Set(Pod("b"));
  EXPECT_THAT(Drain(roster, older), testing::IsEmpty());
  EXPECT_THAT(Drain(roster, newer), testing::ElementsAre("add b"));
  roster.Remove("a");
  EXPECT_THAT(Drain(roster, older), testing::ElementsAre("del a"));
  EXPECT_THAT(Drain(roster, newer), testing::ElementsAre("del a"));
}

TEST(Roster, WhenTheNewestGoesTheOlderGetsWhatItMissed) {
  Roster roster;
  auto older = roster.Connect();
  Drain(roster, older);
  auto newer = roster.Connect();
  Drain(roster, newer);
  roster.Set(Pod("a"));
  Drain(roster, newer);
  roster.Disconnect(newer);
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kPending);
  EXPECT_THAT(Drain(roster, older), testing::ElementsAre("add a"));
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kServed);
}

TEST(Roster, ARecreatedSandboxIsAnAddWithTheSameUid) {
  Roster roster;
  auto id = roster.Connect();
  roster.Set(Pod("a", 1));
  Drain(roster, id);
  roster.Set(Pod("a", 2));
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kPending);
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("add a"));
  roster.Set(Pod("a", 2));
  EXPECT_THAT(Drain(roster, id), testing::IsEmpty());
}

TEST(Roster, ARefusedPodBlocksNobodyAndIsAskedForAgainOnlyWhenSetAgain) {
  Roster roster;
  auto id = roster.Connect();
  Drain(roster, id);
  roster.Set(Pod("a"));
  roster.Set(Pod("b"));
  ASSERT_EQ(roster.Next(id)->workload.uid, "a");
  ASSERT_TRUE(roster.Answered(id, "no listeners").has_value());
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kRefused);
  EXPECT_EQ(roster.RefusalOf("a"), "no listeners");
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("add b"));
  roster.Set(Pod("a"));
  EXPECT_EQ(roster.VerdictOf("a"), Verdict::kPending);
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("add a"));
}

TEST(Roster, ARefusedPodThatGoesIsStillDeleted) {
  Roster roster;
  auto id = roster.Connect();
  Drain(roster, id);
  roster.Set(Pod("a"));
  roster.Next(id);
  ASSERT_TRUE(roster.Answered(id, "no").has_value());
  roster.Remove("a");
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("del a"));
}

TEST(Roster, APodRemovedWhileItsAddIsInFlightIsDeletedAfterwards) {
  Roster roster;
  auto id = roster.Connect();
  Drain(roster, id);
  roster.Set(Pod("a"));
  ASSERT_TRUE(roster.Next(id).has_value());
  roster.Remove("a");
  ASSERT_TRUE(roster.Answered(id, "").has_value());
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("del a"));
  EXPECT_THAT(Drain(roster, id), testing::IsEmpty());
}

TEST(Roster, AKeptPodIsAddedOnceItsNamespaceIsKnownAndNeverKeptAfterTheSnapshot) {
  Roster roster;
  auto id = roster.Connect();
  Drain(roster, id);
  roster.Set({"a", {"a", "ns", "sa"}, nullptr, {}});
  EXPECT_THAT(Drain(roster, id), testing::IsEmpty());
  roster.Set(Pod("a"));
  EXPECT_THAT(Drain(roster, id), testing::ElementsAre("add a"));
}

TEST(Roster, AnAnswerToNothingAndARefusedSnapshotBreakTheProtocol) {
  Roster roster;
  auto id = roster.Connect();
  EXPECT_EQ(roster.Answered(id, "").error().code(), ErrorCode::kProtocol);
  ASSERT_EQ(roster.Next(id)->kind, Kind::kSnapshotSent);
  EXPECT_EQ(roster.Answered(id, "no").error().code(), ErrorCode::kProtocol);
  EXPECT_FALSE(roster.newest().has_value());
}

// Every order of up to five events (connect, disconnect of either, set, recreate, remove, one
// message exchanged): afterwards the newest tunnel has exactly the wanted pods.
class Interleavings {
 public:
  void Explore(std::vector<int>& events, size_t depth) {
    Check(events);
    if (depth == 0) return;
    for (int event = 0; event < 7; ++event) {
      events.push_back(event);
      Explore(events, depth - 1);
      events.pop_back();
    }
  }
  int checked() const { return checked_; }

 private:
  struct World {
    Roster roster;
    std::vector<Roster::ConnectionId> open;
    std::map<Roster::ConnectionId, std::map<std::string, ino_t>> tunnel;
    std::map<std::string, ino_t> wanted;

    bool Exchange(Roster::ConnectionId id) {
      auto request = roster.Next(id);
      if (!request) return false;
      if (request->kind == Kind::kAdd) {
        tunnel[id][request->workload.uid] = request->workload.netns_id.inode;
      }
      if (request->kind == Kind::kDelete) tunnel[id].erase(request->workload.uid);
      return roster.Answered(id, "").has_value();
    }
    void Apply(int event) {
      if (event == 0 && open.size() < 3) open.push_back(roster.Connect());
      if (event == 1 && !open.empty()) Drop(open.size() - 1);
      if (event == 2 && !open.empty()) Drop(0);
      if (event == 3) Want("a", 1);
      if (event == 4) Want("a", 2);
      if (event == 5) {
        roster.Remove("a");
        wanted.erase("a");
      }
      if (event == 6) {
        for (auto id : open) Exchange(id);
      }
    }
    void Want(const std::string& uid, ino_t inode) {
      roster.Set(Pod(uid, inode));
      wanted[uid] = inode;
    }
    void Drop(size_t index) {
      roster.Disconnect(open[index]);
      tunnel.erase(open[index]);
      open.erase(open.begin() + static_cast<long>(index));
    }
  };

  void Check(const std::vector<int>& events) {
    ++checked_;
    World world;
    for (int event : events) world.Apply(event);
    bool moved = true;
    while (moved) {
      moved = false;
      for (auto id : world.open) moved = world.Exchange(id) || moved;
    }
    if (world.open.empty()) return;
    ASSERT_EQ(world.roster.newest(), world.open.back());
    ASSERT_EQ(world.tunnel[world.open.back()], world.wanted) << testing::PrintToString(events);
    for (const auto& [id, pods] : world.tunnel) {
      for (const auto& [uid, inode] : pods) ASSERT_TRUE(world.wanted.contains(uid));
    }
  }
  int checked_ = 0;
};

TEST(Roster, EveryInterleavingEndsWithTheNewestTunnelServingExactlyTheWantedPods) {
  Interleavings interleavings;
  std::vector<int> events;
  interleavings.Explore(events, 6);
  EXPECT_GT(interleavings.checked(), 100000);
}

}  // namespace
}  // namespace ambit::zds
