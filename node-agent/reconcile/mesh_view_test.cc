#include "node-agent/reconcile/mesh_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "node-agent/reconcile/fake_effects.h"

namespace ambit::reconcile {
namespace {

using enroll::State;
using enroll::Wish;

class MeshViewTest : public testing::Test {
 protected:
  MeshViewTest() {
    options_.selection = k8s::MeshSelection::Default();
    options_.node_name = "here";
    options_.host = net::IdentifyNetns(net::OpenOwnNetns()->get()).value();
    view_ = std::make_unique<MeshView>(io_, options_, reconciler_, log_,
                                       [this] { reconciler_.Begin(); });
    view_->OnSynced();
    std::thread([this] {
      if (unshare(CLONE_NEWNET) == 0) netns_ = std::move(net::OpenOwnNetns().value());
    }).join();
    netns_path_ = "/proc/self/fd/" + std::to_string(netns_.get());
  }
  void Poll() {
    io_.restart();
    io_.poll();
  }
  static std::shared_ptr<k8s::Pod> Pod(const std::string& uid) {
    auto pod = std::make_shared<k8s::Pod>();
    pod->uid = uid;
    pod->namespace_name = "ns";
    pod->name = "web";
    pod->phase = k8s::PodPhase::kRunning;
    return pod;
  }
  void Namespace(const std::string& mode) {
    auto object = std::make_shared<k8s::Namespace>();
    object->name = "ns";
    if (!mode.empty()) object->labels["istio.io/dataplane-mode"] = mode;
    view_->OnNamespace(object);
    Poll();
  }
  State StateOf(const std::string& uid) { return enroll::StateOf(*reconciler_.Find(uid)); }

  boost::asio::io_context io_{1};
  FakeEffects effects_{io_};
  SystemClock clock_;
  observe::MemoryLog log_;
  prometheus::Registry registry_;
  EnrolmentMetrics metrics_{registry_};
  Reconciler reconciler_{io_, effects_, clock_, log_, metrics_, {}, [](const auto&) {}};
  MeshView::Options options_;
  std::unique_ptr<MeshView> view_;
  UniqueFd netns_;
  std::string netns_path_;
};

TEST_F(MeshViewTest, ANamespacesLabelReachesItsPodsAndLeavesThem) {
  auto pod = Pod("u");
  pod->annotations["ambit.io/netns"] = netns_path_;
  Namespace("");
  view_->OnPod(pod);
  EXPECT_EQ(StateOf("u"), State::kOutside);
  Namespace("ambient");
  EXPECT_EQ(StateOf("u"), State::kEnrolled);
  Namespace("");
  EXPECT_EQ(StateOf("u"), State::kOutside);
}

TEST_F(MeshViewTest, APodIsNotJudgedBeforeItsNamespaceIsKnown) {
  view_->OnPod(Pod("u"));
  EXPECT_EQ(view_->Find("ns", "web")->decision.wish, Wish::kUnknown);
  Namespace("");
  EXPECT_EQ(view_->Find("ns", "web")->decision.wish, Wish::kOutside);
}

TEST_F(MeshViewTest, ANamespaceThatGoesAwayChangesNothingForEnrolledPods) {
  auto pod = Pod("u");
  pod->annotations["ambit.io/netns"] = netns_path_;
  Namespace("ambient");
  view_->OnPod(pod);
  Poll();
  effects_.TakeCalls();
  view_->OnNamespaceGone("ns");
  Poll();
  EXPECT_THAT(effects_.TakeCalls(), testing::IsEmpty());
}

TEST_F(MeshViewTest, PodsOfOtherNodesAreNotOurs) {
  Namespace("ambient");
  auto pod = Pod("u");
  pod->node_name = "there";
  view_->OnPod(pod);
  EXPECT_EQ(view_->Find("ns", "web"), nullptr);
  auto moved = Pod("u");
  moved->node_name = "here";
  view_->OnPod(moved);
  EXPECT_NE(view_->Find("ns", "web"), nullptr);
}

TEST_F(MeshViewTest, AnotherUidUnderTheSameNameIsAnotherPod) {
  Namespace("ambient");
  view_->OnPod(Pod("u"));
  view_->OnPod(Pod("v"));
  Poll();
  EXPECT_EQ(reconciler_.Find("u"), nullptr);
  EXPECT_NE(reconciler_.Find("v"), nullptr);
}

TEST_F(MeshViewTest, AnAnnotationThatLeadsNowhereIsSaidOnceAndTriedAgain) {
  Namespace("ambient");
  auto pod = Pod("u");
  pod->annotations["ambit.io/netns"] = "/run/netns/there-is-none";
  view_->OnPod(pod);
  view_->RetryAnnotations();
  std::string text = log_.text();
  size_t first = text.find("leads nowhere");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("leads nowhere", first + 1), std::string::npos);
}

TEST_F(MeshViewTest, TheNodesOwnNamespaceIsNeverTaken) {
  Namespace("ambient");
  auto pod = Pod("u");
  pod->annotations["ambit.io/netns"] = "/proc/self/ns/net";
  view_->OnPod(pod);
  EXPECT_EQ(StateOf("u"), State::kWaitingForNetns);
}

TEST_F(MeshViewTest, WhatAddHasSaidWinsOverTheAnnotationWhileItIsThere) {
  Namespace("ambient");
  auto pod = Pod("u");
  view_->OnPod(pod);
  auto sandbox = podns::OpenSandbox(netns_path_, options_.host).value();
  reconciler_.Attach("u", sandbox);
  UniqueFd other;
  std::thread([&other] {
    if (unshare(CLONE_NEWNET) == 0) other = std::move(net::OpenOwnNetns().value());
  }).join();
  auto annotated = Pod("u");
  annotated->annotations["ambit.io/netns"] = "/proc/self/fd/" + std::to_string(other.get());
  view_->OnPod(annotated);
  EXPECT_EQ(reconciler_.Find("u")->sandbox->netns, sandbox.netns);
}

TEST_F(MeshViewTest, AnEndedPodLeaves) {
  Namespace("ambient");
  auto pod = Pod("u");
  pod->annotations["ambit.io/netns"] = netns_path_;
  view_->OnPod(pod);
  Poll();
  auto ended = std::make_shared<k8s::Pod>(*pod);
  ended->phase = k8s::PodPhase::kSucceeded;
  view_->OnPod(ended);
  Poll();
  EXPECT_EQ(reconciler_.Find("u"), nullptr);
  EXPECT_FALSE(effects_.TunnelServes("u"));
}

}  // namespace
}  // namespace ambit::reconcile
