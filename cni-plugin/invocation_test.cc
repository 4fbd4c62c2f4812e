#include "cni-plugin/invocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::cni {
namespace {

using ::testing::HasSubstr;

Environment::Map AddVariables() {
  return {{"CNI_COMMAND", "ADD"},
          {"CNI_CONTAINERID", "abc_1.2-3"},
          {"CNI_NETNS", "/run/netns/p"},
          {"CNI_IFNAME", "eth0"}};
}

Outcome<Invocation> With(Environment::Map variables, std::string name, std::string value) {
  variables[std::move(name)] = std::move(value);
  return ParseInvocation(Environment(std::move(variables)));
}

TEST(Invocation, AnAddCarriesItsVariables) {
  auto invocation = ParseInvocation(Environment(AddVariables()));
  ASSERT_TRUE(invocation.has_value()) << invocation.error().message;
  EXPECT_EQ(invocation->command, Command::kAdd);
  EXPECT_EQ(invocation->container_id, "abc_1.2-3");
  EXPECT_EQ(invocation->netns, "/run/netns/p");
  EXPECT_EQ(invocation->ifname, "eth0");
  EXPECT_FALSE(invocation->own_netns_allowed);
}

TEST(Invocation, AllMissingVariablesAreNamedAtOnce) {
  auto invocation = ParseInvocation(Environment({{"CNI_COMMAND", "ADD"}, {"CNI_NETNS", ""}}));
  ASSERT_FALSE(invocation.has_value());
  EXPECT_EQ(invocation.error().code, CniCode::kBadEnvironment);
  EXPECT_EQ(invocation.error().details, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME");
}

TEST(Invocation, DelNeedsNoNetns) {
  EXPECT_TRUE(
      ParseInvocation(
          Environment({{"CNI_COMMAND", "DEL"}, {"CNI_CONTAINERID", "a"}, {"CNI_IFNAME", "eth0"}}))
          .has_value());
}

TEST(Invocation, GcNeedsThePluginPath) {
  auto invocation = ParseInvocation(Environment({{"CNI_COMMAND", "GC"}}));
  ASSERT_FALSE(invocation.has_value());
  EXPECT_EQ(invocation.error().details, "CNI_PATH");
}

TEST(Invocation, StatusAndVersionNeedNothing) {
  EXPECT_TRUE(ParseInvocation(Environment({{"CNI_COMMAND", "STATUS"}})).has_value());
  EXPECT_TRUE(ParseInvocation(Environment({{"CNI_COMMAND", "VERSION"}})).has_value());
}

TEST(Invocation, NoCommandAsksForTheUsage) {
  EXPECT_EQ(ParseInvocation(Environment())->command, Command::kUsage);
  EXPECT_EQ(ParseInvocation(Environment({{"CNI_COMMAND", ""}}))->command, Command::kUsage);
}

TEST(Invocation, CommandsAreCaseSensitive) {
  auto invocation = With(AddVariables(), "CNI_COMMAND", "add");
  ASSERT_FALSE(invocation.has_value());
  EXPECT_EQ(invocation.error().code, CniCode::kBadEnvironment);
  EXPECT_THAT(invocation.error().message, HasSubstr("\"add\""));
}

TEST(Invocation, BadContainerIdsAreRefused) {
  for (const char* id : {"-a", ".a", "_a", "a/b", "a b", "a\n", "\xc3\xa4"}) {
    auto invocation = With(AddVariables(), "CNI_CONTAINERID", id);
    ASSERT_FALSE(invocation.has_value()) << id;
    EXPECT_EQ(invocation.error().code, CniCode::kBadEnvironment);
    EXPECT_THAT(invocation.error().message, HasSubstr("CNI_CONTAINERID"));
  }
}

TEST(Invocation, BadInterfaceNamesAreRefused) {
  for (const char* name : {".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen-bytes-xx"}) {
    auto invocation = With(AddVariables(), "CNI_IFNAME", name);
    ASSERT_FALSE(invocation.has_value()) << name;
    EXPECT_THAT(invocation.error().message, HasSubstr("CNI_IFNAME"));
  }
  EXPECT_TRUE(With(AddVariables(), "CNI_IFNAME", "fifteen-bytes-x").has_value());
}

TEST(Invocation, TheOverrideOfTheOwnNetnsIsRead) {
  for (const char* value : {"1", "true", "TRUE"}) {
    EXPECT_TRUE(With(AddVariables(), "CNI_NETNS_OVERRIDE", value)->own_netns_allowed);
  }
  EXPECT_FALSE(With(AddVariables(), "CNI_NETNS_OVERRIDE", "yes")->own_netns_allowed);
}

}  // namespace
}  // namespace ambit::cni
