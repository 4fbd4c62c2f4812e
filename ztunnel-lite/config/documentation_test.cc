#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "ztunnel-lite/config/config.h"

namespace ambit::config {
namespace {

// What stands between backticks in the first column.
std::vector<std::string> VariablesOfTable(const std::string& path) {
  std::vector<std::string> names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    std::istringstream cell(line.substr(2, line.find('|', 1) - 2));
    for (std::string text; std::getline(cell, text, '`');) {
      if (std::string name; std::getline(cell, name, '`')) names.push_back(name);
    }
  }
  return names;
}

TEST(Documentation, TheTableOfVariablesIsWhatTheProgramReads) {
  auto documented = VariablesOfTable("docs/configuration.md");
  ASSERT_FALSE(documented.empty());
  EXPECT_THAT(documented, testing::UnorderedElementsAreArray(Config::KnownVariables()));
}

}  // namespace
}  // namespace ambit::config
