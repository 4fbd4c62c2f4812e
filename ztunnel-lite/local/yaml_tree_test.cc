#include "ztunnel-lite/local/yaml_tree.h"

#include <gtest/gtest.h>

namespace ambit::local {
namespace {

std::string ErrorOf(std::string_view yaml, const YamlLimits& limits = {}) {
  auto parsed = ParseYaml(yaml, limits);
  return parsed ? "none" : parsed.error().message();
}

TEST(YamlTree, KnowsTheLineOfEachValue) {
  auto root = ParseYaml("a: 1\nb:\n- x\n- y: z\n").value();
  ASSERT_EQ(root.items.size(), 2u);
  EXPECT_EQ(root.items[0].key, "a");
  EXPECT_EQ(root.items[1].items[1].items[0].line, 4);
}

TEST(YamlTree, NothingAtAllIsNull) {
  EXPECT_EQ(ParseYaml("").value().kind, YamlValue::Kind::kNull);
  EXPECT_EQ(ParseYaml("# only a comment\n").value().kind, YamlValue::Kind::kNull);
}

TEST(YamlTree, ATaggedValueIsAMapOfOneKey) {
  auto root = ParseYaml("- !Exact x\n- !Presence []\n").value();
  EXPECT_EQ(root.items[0].items[0].key, "Exact");
  EXPECT_EQ(root.items[0].items[0].text, "x");
  EXPECT_EQ(root.items[1].items[0].kind, YamlValue::Kind::kList);
}

TEST(YamlTree, AliasesAreExpandedUpToALimit) {
  EXPECT_EQ(ParseYaml("a: &x [1, 2]\nb: *x\n").value().items[1].items.size(), 2u);
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += last + ", ";
    bomb += last + "]\n";
  }
  EXPECT_EQ(ErrorOf(bomb, {.values = 1000}), "line 3: too much content; aliases may multiply it");
  EXPECT_EQ(ErrorOf("a: &x [*x]\n"), "line 1: an alias inside the value that it names");
}

TEST(YamlTree, RefusesWhatAMapMayNotHold) {
  EXPECT_EQ(ErrorOf("a: 1\nb: 2\na: 3\n"), "line 3: key \"a\" stands at line 1 already");
  EXPECT_EQ(ErrorOf("a: &x {b: 1}\nc:\n  <<: *x\n"), "line 3: merge keys (<<) are not supported");
  EXPECT_EQ(ErrorOf("? [a]\n: 1\n"), "line 1: a map key must be a scalar");
}

TEST(YamlTree, RefusesASecondDocumentAndWhatNestsTooDeep) {
  EXPECT_EQ(ErrorOf("a: 1\n---\nb: 1\n"), "line 2: a second document, or a stray character");
  EXPECT_EQ(ErrorOf("[[[[1]]]]", {.depth = 3}), "line 1: nested too deep");
}

TEST(YamlTree, NamesTheLineOfBrokenYaml) {
  EXPECT_TRUE(ErrorOf("a: 1\nb: [\n").starts_with("line ")) << ErrorOf("a: 1\nb: [\n");
}

}  // namespace
}  // namespace ambit::local
