#include "node-agent/reconcile/reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "node-agent/reconcile/fake_effects.h"

namespace ambit::reconcile {
namespace {

namespace asio = boost::asio;
using enroll::State;
using enroll::Wish;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr milliseconds kLong(5000);

class ReconcilerTest : public testing::Test {
 protected:
  ReconcilerTest() {
    options_.first_backoff = milliseconds(5);
    options_.last_backoff = milliseconds(20);
    pod_.uid = "u";
    pod_.namespace_name = "ns";
    pod_.name = "web";
  }
  void Make() {
    reconciler_ = std::make_unique<Reconciler>(
        io_, effects_, clock_, log_, metrics_, options_,
        [this](const std::vector<podns::SavedPod>& pods) { saved_ = pods; });
  }
  void Start() {
    Make();
    reconciler_->Begin();
  }
  ~ReconcilerTest() override {
    reconciler_.reset();
    Poll();
  }

  void Poll() {
    io_.restart();
    io_.poll();
  }
  template <typename Done>
  bool RunUntil(Done done) {
    auto end = std::chrono::steady_clock::now() + kLong;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.run_one_for(milliseconds(5));
    }
    return true;
  }
  void Observe(Wish wish) {
    enroll::Decision decision;
    decision.wish = wish;
    decision.reason = "a test says so";
    reconciler_->Observe(pod_, std::move(decision));
    Poll();
  }
  static podns::Sandbox Box(ino_t inode) {
    return {.netns_path = "/run/netns/x",
            .netns = {1, inode},
            .container_id = "c" + std::to_string(inode),
            .ifname = "eth0",
            .ips = {net::IpAddress::Parse("10.0.0." + std::to_string(inode)).value()},
            .handle = std::make_shared<const UniqueFd>()};
  }
  void Attach(ino_t inode) {
    reconciler_->Attach("u", Box(inode));
    Poll();
  }
  State StateOfPod() { return enroll::StateOf(*reconciler_->Find("u")); }
  void StartCommit(const std::string& token, milliseconds timeout = kLong) {
    asio::co_spawn(io_, reconciler_->Commit(token, timeout),
                   [this](const std::exception_ptr&, Result<void> result) { ended_ = result; });
    Poll();
  }
  void StartEnrol(ino_t inode) {
    asio::co_spawn(io_, reconciler_->Enrol("u", Box(inode), kLong),
                   [this](const std::exception_ptr&, Result<void> result) { ended_ = result; });
    Poll();
  }

  asio::io_context io_{1};
  FakeEffects effects_{io_};
  SystemClock clock_;
  observe::MemoryLog log_;
  prometheus::Registry registry_;
  EnrolmentMetrics metrics_{registry_};
  Options options_;
  k8s::Pod pod_;
  std::vector<podns::SavedPod> saved_;
  std::unique_ptr<Reconciler> reconciler_;
  std::optional<Result<void>> ended_;
};

TEST_F(ReconcilerTest, ARunningPodThatIsLabelledGoesThroughAllSteps) {
  Start();
  Observe(Wish::kOutside);
  Attach(7);
  EXPECT_THAT(effects_.TakeCalls(), IsEmpty());
  Observe(Wish::kCaptured);
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("program", "add u", "probes 1"));
  EXPECT_EQ(StateOfPod(), State::kEnrolled);
  Observe(Wish::kOutside);
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("undo", "del u", "probes 0"));
  EXPECT_THAT(log_.text(), testing::HasSubstr("pod has left the mesh"));
}

TEST_F(ReconcilerTest, NothingIsDoneBeforeBegin) {
  Make();
  Observe(Wish::kCaptured);
  Attach(7);
  EXPECT_THAT(effects_.TakeCalls(), IsEmpty());
  reconciler_->Begin();
  Poll();
  EXPECT_EQ(StateOfPod(), State::kEnrolled);
}

TEST_F(ReconcilerTest, AFailedStepIsTriedAgainAndItsReasonLogged) {
  Start();
  effects_.fail["add u"] = 2;
  Observe(Wish::kCaptured);
  Attach(7);
  EXPECT_EQ(StateOfPod(), State::kFailed);
  EXPECT_TRUE(RunUntil([this] { return StateOfPod() == State::kEnrolled; }));
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("program", "add u", "add u", "add u", "probes 1"));
  EXPECT_THAT(log_.text(), testing::HasSubstr("add u was refused"));
}

TEST_F(ReconcilerTest, AnUnknownNamespaceIsReportedOnce) {
  Start();
  Observe(Wish::kCaptured);
  Observe(Wish::kOutside);
  Observe(Wish::kCaptured);
  std::string text = log_.text();
  size_t first = text.find("network namespace is not known");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("network namespace is not known", first + 1), std::string::npos);
}

TEST_F(ReconcilerTest, UnlabellingDoesNotWaitForATunnelThatDoesNotAnswer) {
  Start();
  effects_.hold.insert("add u");
  Observe(Wish::kCaptured);
  Attach(7);
  EXPECT_EQ(StateOfPod(), State::kCommitting);
  Observe(Wish::kOutside);
  Poll();
  EXPECT_EQ(StateOfPod(), State::kOutside);
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("program", "add u", "del u", "undo", "del u"));
}

TEST_F(ReconcilerTest, AStuckPodDelaysNoOther) {
  Start();
  effects_.hold.insert("add u");
  Observe(Wish::kCaptured);
  Attach(7);
  pod_.uid = "v";
  pod_.name = "other";
  Observe(Wish::kCaptured);
  reconciler_->Attach("v", Box(8));
  Poll();
  EXPECT_EQ(enroll::StateOf(*reconciler_->Find("v")), State::kEnrolled);
}

TEST_F(ReconcilerTest, ADeletedPodIsForgottenAfterTunnelAndProbesHaveLetItGo) {
  Start();
  Observe(Wish::kCaptured);
  Attach(7);
  effects_.TakeCalls();
  reconciler_->Gone("u");
  Poll();
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("del u", "probes 0"));
  EXPECT_EQ(reconciler_->Find("u"), nullptr);
  EXPECT_TRUE(saved_.empty());
}

TEST_F(ReconcilerTest, ACommittedOfferIsServedAndProbed) {
  Start();
  Observe(Wish::kCaptured);
  std::string token = reconciler_->Offer("u", Box(7));
  Poll();
  EXPECT_EQ(StateOfPod(), State::kOffered);
  EXPECT_THAT(effects_.TakeCalls(), IsEmpty());
  StartCommit(token);
  ASSERT_TRUE(ended_.has_value());
  EXPECT_TRUE(ended_->has_value());
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("add u", "probes 1"));
  ASSERT_EQ(saved_.size(), 1u);
  EXPECT_TRUE(saved_[0].rules);
}

TEST_F(ReconcilerTest, ATokenIsGoodForOneCommit) {
  Start();
  Observe(Wish::kCaptured);
  std::string token = reconciler_->Offer("u", Box(7));
  StartCommit(token);
  ended_.reset();
  StartCommit(token);
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(ended_->error().code(), ErrorCode::kAlreadyExists);
}

TEST_F(ReconcilerTest, ACommitThatTheTunnelRefusesForgetsTheSandbox) {
  Start();
  effects_.fail["add u"] = 1;
  Observe(Wish::kCaptured);
  StartCommit(reconciler_->Offer("u", Box(7)));
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(ended_->error().message(), "add u was refused");
  Poll();
  EXPECT_EQ(StateOfPod(), State::kWaitingForNetns);
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("add u", "del u"));
}

TEST_F(ReconcilerTest, ACommitThatTakesTooLongSaysWhatIsMissing) {
  Start();
  effects_.hold.insert("add u");
  effects_.tunnel_problem = "no tunnel";
  Observe(Wish::kCaptured);
  StartCommit(reconciler_->Offer("u", Box(7)), milliseconds(10));
  ASSERT_TRUE(RunUntil([this] { return ended_.has_value(); }));
  EXPECT_EQ(ended_->error().message(), "no tunnel");
  Poll();
  EXPECT_EQ(StateOfPod(), State::kWaitingForNetns);
}

TEST_F(ReconcilerTest, ALabelThatGoesBetweenProgramAndCommitFailsTheCommit) {
  Start();
  Observe(Wish::kCaptured);
  std::string token = reconciler_->Offer("u", Box(7));
  Observe(Wish::kOutside);
  EXPECT_THAT(effects_.TakeCalls(), IsEmpty());
  StartCommit(token);
  EXPECT_EQ(ended_->error().code(), ErrorCode::kCancelled);
  EXPECT_THAT(effects_.TakeCalls(), IsEmpty());
}

TEST_F(ReconcilerTest, ALabelThatGoesDuringTheCommitFailsIt) {
  Start();
  effects_.hold.insert("add u");
  Observe(Wish::kCaptured);
  StartCommit(reconciler_->Offer("u", Box(7)));
  EXPECT_FALSE(ended_.has_value());
  Observe(Wish::kOutside);
  Poll();
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(ended_->error().code(), ErrorCode::kCancelled);
}

TEST_F(ReconcilerTest, ADelDuringTheCommitFailsItAndTheTunnelForgets) {
  Start();
  effects_.hold.insert("add u");
  Observe(Wish::kCaptured);
  StartCommit(reconciler_->Offer("u", Box(7)));
  reconciler_->Detach("u", {1, 7});
  Poll();
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(ended_->error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(StateOfPod(), State::kWaitingForNetns);
  EXPECT_FALSE(effects_.TunnelServes("u"));
}

TEST_F(ReconcilerTest, ASecondSandboxVoidsTheTokenOfTheFirst) {
  Start();
  Observe(Wish::kCaptured);
  std::string first = reconciler_->Offer("u", Box(7));
  std::string second = reconciler_->Offer("u", Box(8));
  StartCommit(first);
  EXPECT_EQ(ended_->error().code(), ErrorCode::kAlreadyExists);
  ended_.reset();
  StartCommit(second);
  EXPECT_TRUE(ended_->has_value());
  EXPECT_EQ(effects_.probes["u"].begin()->ToString(), "10.0.0.8");
}

TEST_F(ReconcilerTest, TheDelOfAnOldSandboxIsIgnored) {
  Start();
  Observe(Wish::kCaptured);
  Attach(7);
  Attach(8);
  reconciler_->Detach("u", {1, 7});
  Poll();
  EXPECT_EQ(StateOfPod(), State::kEnrolled);
}

TEST_F(ReconcilerTest, AnAbortAndASilentPluginGiveTheSandboxUp) {
  options_.offer_timeout = milliseconds(10);
  Start();
  Observe(Wish::kCaptured);
  reconciler_->Abort(reconciler_->Offer("u", Box(7)));
  EXPECT_EQ(StateOfPod(), State::kWaitingForNetns);
  reconciler_->Offer("u", Box(8));
  EXPECT_EQ(StateOfPod(), State::kOffered);
  EXPECT_TRUE(RunUntil([this] { return StateOfPod() == State::kWaitingForNetns; }));
}

TEST_F(ReconcilerTest, IstiosPluginLeavesTheProgramToTheAgent) {
  Start();
  Observe(Wish::kCaptured);
  StartEnrol(7);
  ASSERT_TRUE(ended_.has_value());
  EXPECT_TRUE(ended_->has_value());
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("program", "add u", "probes 1"));
}

TEST_F(ReconcilerTest, AFailureIsToldToIstiosPluginAtOnce) {
  Start();
  effects_.fail["program"] = 1;
  Observe(Wish::kCaptured);
  StartEnrol(7);
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(ended_->error().message(), "program was refused");
}

TEST_F(ReconcilerTest, AfterARestartARunningPodIsInTheSnapshotAndOnlyLookedAt) {
  Make();
  reconciler_->Restore({"u", "ns", "web", Box(7), true});
  Observe(Wish::kCaptured);
  reconciler_->Begin();
  Poll();
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("set u", "expect u", "verify", "add u"));
  EXPECT_EQ(StateOfPod(), State::kEnrolled);
}

TEST_F(ReconcilerTest, AfterARestartRulesThatDifferAreRepaired) {
  Make();
  effects_.differences = {"chain output is missing"};
  reconciler_->Restore({"u", "ns", "web", Box(7), true});
  Observe(Wish::kCaptured);
  reconciler_->Begin();
  Poll();
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("set u", "expect u", "verify", "repair", "add u"));
  EXPECT_THAT(log_.text(), testing::HasSubstr("chain output is missing"));
}

TEST_F(ReconcilerTest, AfterARestartALabelledPodWithoutItsNamespaceIsKept) {
  Make();
  Observe(Wish::kCaptured);
  reconciler_->Begin();
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("keep u"));
}

TEST_F(ReconcilerTest, AfterARestartAPodThatWasUnlabelledMeanwhileIsTakenOut) {
  Make();
  reconciler_->Restore({"u", "ns", "web", Box(7), true});
  Observe(Wish::kOutside);
  reconciler_->Begin();
  Poll();
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("undo"));
}

TEST_F(ReconcilerTest, AfterARestartAPodThatIsGoneIsForgotten) {
  Make();
  reconciler_->Restore({"u", "ns", "web", Box(7), true});
  reconciler_->Begin();
  Poll();
  EXPECT_EQ(reconciler_->Find("u"), nullptr);
}

TEST_F(ReconcilerTest, DriftIsRepairedWhenRulesAreLookedAtAgain) {
  Start();
  Observe(Wish::kCaptured);
  Attach(7);
  effects_.TakeCalls();
  effects_.differences = {"table is missing"};
  reconciler_->VerifyAll();
  Poll();
  EXPECT_THAT(effects_.TakeCalls(), ElementsAre("verify", "repair"));
  EXPECT_THAT(log_.text(), testing::HasSubstr("table is missing"));
}

}  // namespace
}  // namespace ambit::reconcile
