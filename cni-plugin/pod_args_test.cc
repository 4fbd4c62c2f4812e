#include "cni-plugin/pod_args.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::cni {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(std::string_view args, const std::string& part) {
  auto pod = ParsePodArgs(args);
  ASSERT_FALSE(pod.has_value()) << args;
  EXPECT_EQ(pod.error().code, CniCode::kBadEnvironment);
  EXPECT_THAT(pod.error().message, HasSubstr(part));
}

TEST(PodArgs, WhatContainerdSendsIsRead) {
  auto pod = ParsePodArgs(
      "K8S_POD_INFRA_CONTAINER_ID=123;K8S_POD_UID=u-1;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;"
      "K8S_POD_NAME=web-0;OTHER=x");
  ASSERT_TRUE(pod.has_value()) << pod.error().message;
  EXPECT_EQ(pod->name, "web-0");
  EXPECT_EQ(pod->pod_namespace, "ns");
  EXPECT_EQ(pod->uid, "u-1");
  EXPECT_TRUE(pod->IsPod());
}

TEST(PodArgs, WithoutNameOrNamespaceThereIsNoPod) {
  EXPECT_FALSE(ParsePodArgs("")->IsPod());
  EXPECT_FALSE(ParsePodArgs("K8S_POD_NAME=a")->IsPod());
  EXPECT_FALSE(ParsePodArgs("K8S_POD_NAMESPACE=a;K8S_POD_NAME=")->IsPod());
}

TEST(PodArgs, PartsWithoutExactlyOneEqualsSignAreRefused) {
  ExpectRefused("K8S_POD_NAME", "\"K8S_POD_NAME\"");
  ExpectRefused("K8S_POD_NAME=a=b", "\"K8S_POD_NAME=a=b\"");
  ExpectRefused(";K8S_POD_NAME=a", "\"\"");
  ExpectRefused("K8S_POD_NAME=a;", "ends with ';'");
}

TEST(PodArgs, UnknownKeysNeedIgnoreUnknownWhereverItStands) {
  ExpectRefused("FOO=1;BAR=2", "(FOO, BAR)");
  ExpectRefused("IgnoreUnknown=0;FOO=1", "(FOO)");
  EXPECT_TRUE(ParsePodArgs("FOO=1;IgnoreUnknown=true").has_value());
  EXPECT_TRUE(ParsePodArgs("IgnoreUnknown=TRUE;FOO=1").has_value());
  ExpectRefused("IgnoreUnknown=maybe", "IgnoreUnknown=maybe");
}

TEST(PodArgs, KeysAreCaseSensitive) { ExpectRefused("k8s_pod_name=a", "(k8s_pod_name)"); }

}  // namespace
}  // namespace ambit::cni
