#include "lib/k8s/mesh_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::k8s {
namespace {

using ::testing::HasSubstr;

Pod PodWith(StringMap labels) {
  Pod pod;
  pod.namespace_name = "shop";
  pod.name = "web";
  pod.labels = std::move(labels);
  return pod;
}

Namespace Space(StringMap labels) { return {"shop", std::move(labels), {}}; }

bool In(const char* pod_label, const char* namespace_label) {
  auto labels = [](const char* value) {
    return value == nullptr ? StringMap{} : StringMap{{kDataplaneModeLabel, value}};
  };
  return MeshSelection::Default().Matches(PodWith(labels(pod_label)),
                                          Space(labels(namespace_label)));
}

std::string ErrorOf(const std::string& yaml) {
  auto selection = MeshSelection::ParseSelectors(yaml);
  return selection ? "no error" : selection.error().message();
}

TEST(MeshSelection, TheDefaultFollowsTheLabelsOfPodAndNamespace) {
  EXPECT_TRUE(In("ambient", nullptr));
  EXPECT_TRUE(In("ambient", "none"));
  EXPECT_TRUE(In(nullptr, "ambient"));
  EXPECT_TRUE(In("other", "ambient"));
  EXPECT_FALSE(In("none", "ambient"));
  EXPECT_FALSE(In("other", nullptr));
  EXPECT_FALSE(In(nullptr, nullptr));
  EXPECT_FALSE(In(nullptr, "none"));
}

TEST(MeshSelection, HostNetworkSidecarsAndExcludedNamespacesAreNeverIn) {
  MeshSelection selection = MeshSelection::Default();
  Pod pod = PodWith({{kDataplaneModeLabel, "ambient"}});
  ASSERT_TRUE(selection.Matches(pod, Space({})));

  Pod host = pod;
  host.host_network = true;
  EXPECT_FALSE(selection.Matches(host, Space({})));
  EXPECT_THAT(selection.Explain(host, Space({})), HasSubstr("host's network namespace"));

  Pod sidecar = pod;
  sidecar.annotations[kSidecarStatusAnnotation] = "";
  EXPECT_FALSE(selection.Matches(sidecar, Space({})));
  EXPECT_THAT(selection.Explain(sidecar, Space({})), HasSubstr(kSidecarStatusAnnotation));

  selection.excluded_namespaces = {"shop"};
  EXPECT_FALSE(selection.Matches(pod, Space({})));
  EXPECT_EQ(selection.Explain(pod, Space({})),
            "not in the mesh: namespace shop is excluded from the mesh");
}

TEST(MeshSelection, TheExplanationNamesTheLabelThatDecided) {
  MeshSelection selection = MeshSelection::Default();
  EXPECT_EQ(selection.Explain(PodWith({{kDataplaneModeLabel, "ambient"}}), Space({})),
            "in the mesh: pod label istio.io/dataplane-mode=ambient");
  EXPECT_EQ(selection.Explain(PodWith({}), Space({{kDataplaneModeLabel, "ambient"}})),
            "in the mesh: pod label istio.io/dataplane-mode not in (none) and namespace label "
            "istio.io/dataplane-mode=ambient");
  EXPECT_EQ(selection.Explain(PodWith({{kDataplaneModeLabel, "none"}}), Space({})),
            "not in the mesh: no selector matches; label istio.io/dataplane-mode is \"none\" on "
            "the pod and not set on namespace shop");
}

TEST(MeshSelection, TheSelectorsOfTheChartParseToTheDefault) {
  auto parsed = MeshSelection::ParseSelectors(R"(
- podSelector:
    matchLabels:
      istio.io/dataplane-mode: ambient
- podSelector:
    matchExpressions:
    - key: istio.io/dataplane-mode
      operator: NotIn
      values: [none]
  namespaceSelector:
    matchLabels:
      istio.io/dataplane-mode: ambient
)");
  ASSERT_TRUE(parsed) << parsed.error().message();
  for (const char* pod : {"ambient", "none", "other"}) {
    for (const char* space : {"ambient", "none", "other"}) {
      EXPECT_EQ(parsed->Matches(PodWith({{kDataplaneModeLabel, pod}}),
                                Space({{kDataplaneModeLabel, space}})),
                In(pod, space));
    }
  }
}

TEST(MeshSelection, ExistsAndDoesNotExistLookAtTheKeyOnly) {
  auto parsed = MeshSelection::ParseSelectors(
      "[{podSelector: {matchExpressions: [{key: a, operator: Exists},"
      " {key: b, operator: DoesNotExist}]}}]");
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_TRUE(parsed->Matches(PodWith({{"a", ""}}), Space({})));
  EXPECT_FALSE(parsed->Matches(PodWith({{"a", ""}, {"b", ""}}), Space({})));
  EXPECT_FALSE(parsed->Matches(PodWith({}), Space({})));
}

TEST(MeshSelection, AnEmptyListMatchesNothing) {
  auto parsed = MeshSelection::ParseSelectors("[]");
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->Matches(PodWith({{kDataplaneModeLabel, "ambient"}}), Space({})));
}

TEST(MeshSelection, BadSelectorsAreErrorsThatNameTheField) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("one YAML document"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("a list of"));
  EXPECT_THAT(ErrorOf("[{podSelectors: {}}]"), HasSubstr("[0] has an unknown key"));
  EXPECT_THAT(ErrorOf("[{podSelector: {matchLabels: {a: 1}}}]"),
              HasSubstr("[0].podSelector.matchLabels.a must be a string"));
  EXPECT_THAT(ErrorOf("[{podSelector: {matchExpressions: [{key: a, operator: Is}]}}]"),
              HasSubstr("operator must be In, NotIn"));
  EXPECT_THAT(ErrorOf("[{podSelector: {matchExpressions: [{key: a, operator: In}]}}]"),
              HasSubstr("values must not be empty with In"));
  EXPECT_THAT(
      ErrorOf("[{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]"),
      HasSubstr("values must be empty with Exists"));
  EXPECT_THAT(ErrorOf("[{podSelector: {matchExpressions: {}}}]"), HasSubstr("must be a list"));
}

}  // namespace
}  // namespace ambit::k8s
