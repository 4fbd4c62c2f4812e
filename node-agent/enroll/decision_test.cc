#include "node-agent/enroll/decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::enroll {
namespace {

constexpr char kMode[] = "istio.io/dataplane-mode";

class DecisionTest : public testing::Test {
 protected:
  DecisionTest() {
    pod_.namespace_name = "default";
    pod_.name = "web";
    pod_.phase = k8s::PodPhase::kRunning;
    namespace_.name = "default";
  }
  Decision Decide() { return enroll::Decide(pod_, &namespace_, selection_, defaults_); }
  Decision DecideAlone() { return enroll::Decide(pod_, nullptr, selection_, defaults_); }

  k8s::Pod pod_;
  k8s::Namespace namespace_;
  k8s::MeshSelection selection_ = k8s::MeshSelection::Default();
  redirect::Options defaults_;
};

TEST_F(DecisionTest, LabelsDecideAndTheReasonIsSaid) {
  EXPECT_EQ(Decide().wish, Wish::kOutside);
  namespace_.labels[kMode] = "ambient";
  EXPECT_EQ(Decide().wish, Wish::kCaptured);
  EXPECT_FALSE(Decide().reason.empty());
  pod_.labels[kMode] = "none";
  EXPECT_EQ(Decide().wish, Wish::kOutside);
}

TEST_F(DecisionTest, AnEndedPodIsGoneWhateverItsLabels) {
  pod_.labels[kMode] = "ambient";
  pod_.phase = k8s::PodPhase::kSucceeded;
  EXPECT_EQ(Decide().wish, Wish::kGone);
}

TEST_F(DecisionTest, AnUnknownNamespaceLeavesThePodUndecided) {
  EXPECT_EQ(DecideAlone().wish, Wish::kUnknown);
}

TEST_F(DecisionTest, ThePodsOwnLabelDecidesWithoutItsNamespace) {
  pod_.labels[kMode] = "ambient";
  EXPECT_EQ(DecideAlone().wish, Wish::kCaptured);
}

TEST_F(DecisionTest, WhatNoNamespaceLabelCanOverruleDecidesWithoutIt) {
  pod_.host_network = true;
  EXPECT_EQ(DecideAlone().wish, Wish::kOutside);
  pod_.host_network = false;
  pod_.annotations[k8s::kSidecarStatusAnnotation] = "{}";
  EXPECT_EQ(DecideAlone().wish, Wish::kOutside);
  pod_.annotations.clear();
  selection_.excluded_namespaces = {"default"};
  EXPECT_EQ(DecideAlone().wish, Wish::kOutside);
}

TEST_F(DecisionTest, AnnotationsOverrideTheNodesDefaults) {
  pod_.annotations[kDnsCaptureAnnotation] = "T";
  pod_.annotations[kBypassInboundAnnotation] = "1";
  pod_.annotations[kVirtualInterfacesAnnotation] = " tap0, ,tun1 ";
  Decision decision = Decide();
  EXPECT_TRUE(decision.options.dns_capture);
  EXPECT_TRUE(decision.options.bypass_inbound);
  EXPECT_THAT(decision.options.virtual_interfaces, testing::ElementsAre("tap0", "tun1"));
  EXPECT_TRUE(decision.warnings.empty());
  defaults_.dns_capture = true;
  pod_.annotations[kDnsCaptureAnnotation] = "false";
  EXPECT_FALSE(Decide().options.dns_capture);
}

TEST_F(DecisionTest, AnAnnotationThatDoesNotParseIsLeftOutWithAWarning) {
  defaults_.dns_capture = true;
  pod_.annotations[kDnsCaptureAnnotation] = "yes";
  Decision decision = Decide();
  EXPECT_TRUE(decision.options.dns_capture);
  ASSERT_EQ(decision.warnings.size(), 1u);
  EXPECT_THAT(decision.warnings[0], testing::HasSubstr("dns-capture"));
}

}  // namespace
}  // namespace ambit::enroll
