#include "lib/k8s/yaml_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const std::string& yaml) {
  auto documents = YamlToJson(yaml);
  return documents ? "no error" : documents.error().message();
}

TEST(YamlJson, PlainScalarsHaveCoreSchemaTypesAndQuotedOnesAreStrings) {
  auto documents = YamlToJson("[1, -2, 0x10, 1.5, true, ~, yes, '1', \"true\", !!str 7, 1.2.3]");
  ASSERT_TRUE(documents) << documents.error().message();
  EXPECT_THAT(*documents, ElementsAre(R"([1,-2,16,1.5,true,null,"yes","1","true","7","1.2.3"])"));
}

TEST(YamlJson, EveryDocumentOfTheStreamIsReturned) {
  auto documents = YamlToJson("a: 1\n---\n# nothing\n---\nb: [x]\n");
  ASSERT_TRUE(documents) << documents.error().message();
  EXPECT_THAT(*documents, ElementsAre(R"({"a":1})", "null", R"({"b":["x"]})"));
}

TEST(YamlJson, KeysAreTextWhateverTheyLookLike) {
  EXPECT_THAT(YamlToJson("80: a\ntrue: b").value(), ElementsAre(R"({"80":"a","true":"b"})"));
}

TEST(YamlJson, AliasesAreExpanded) {
  EXPECT_THAT(YamlToJson("a: &x {k: v}\nb: *x").value(),
              ElementsAre(R"({"a":{"k":"v"},"b":{"k":"v"}})"));
}

TEST(YamlJson, AnAliasBombIsRefused) {
  std::string yaml = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 12; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 8; ++k) yaml += ", " + before;
    yaml += "]\n";
  }
  EXPECT_THAT(ErrorOf(yaml), HasSubstr("aliases may multiply it"));
}

TEST(YamlJson, AnAliasInsideItsOwnAnchorIsRefused) {
  EXPECT_THAT(ErrorOf("a: &x [*x]"), HasSubstr("an alias inside the value that it names"));
}

TEST(YamlJson, DeepNestingIsRefused) {
  EXPECT_THAT(ErrorOf(std::string(70, '[') + std::string(70, ']')), HasSubstr("deeper than 64"));
  EXPECT_THAT(ErrorOf(std::string(100000, '[')), HasSubstr("document 1"));
}

TEST(YamlJson, ACharacterThatMayNotStandThereIsAnError) {
  EXPECT_EQ(ErrorOf(",b"), "document 1: line 1: unexpected character");
}

TEST(YamlJson, TextThatIsNotUtf8IsRefused) {
  EXPECT_EQ(ErrorOf("a: \"\x80\""), "document 1: text that is not UTF-8");
}

TEST(YamlJson, ErrorsNameDocumentAndLine) {
  EXPECT_THAT(ErrorOf("a: 1\n---\nb: [\n"), HasSubstr("document 2: line"));
  EXPECT_EQ(ErrorOf("a: 1\nb: 2\na: 3\n"), "document 1: line 3: key \"a\" stands twice in one map");
  EXPECT_EQ(ErrorOf("? [a]\n: b"), "document 1: line 1: a map key must be a scalar");
  EXPECT_EQ(ErrorOf("a: &x {k: v}\nb:\n  <<: *x"),
            "document 1: line 3: merge keys (<<) are not supported");
}

}  // namespace
}  // namespace ambit::k8s
