#include "control-plane/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Options Parsed(const std::vector<std::string>& arguments, Environment::Map environment = {}) {
  auto parsed = ParseOptions(arguments, Environment(std::move(environment)));
  if (!parsed) {
    ADD_FAILURE() << parsed.error().message();
    return {};
  }
  return std::get<Options>(*parsed);
}

std::string ErrorOf(const std::vector<std::string>& arguments, Environment::Map environment = {}) {
  auto parsed = ParseOptions(arguments, Environment(std::move(environment)));
  return parsed ? "no error" : parsed.error().message();
}

TEST(Options, AFlagWinsOverItsVariableAndTheVariableOverTheDefault) {
  Environment::Map environment = {{"AMBIT_MANIFESTS", "/m"},
                                  {"AMBIT_CONTROL_ADDRESS", "[::1]:0"},
                                  {"AMBIT_CONTROL_HOSTNAMES", "a.example, 192.0.2.1,"},
                                  {"TRUST_DOMAIN", "example.org"},
                                  {"LOG_FORMAT", "json"}};
  Options options = Parsed({"--manifests", "/other", "--cluster-id=c1"}, environment);
  EXPECT_EQ(options.manifests, "/other");
  EXPECT_EQ(options.address.ToString(), "[::1]:0");
  EXPECT_THAT(options.hostnames, ElementsAre("a.example", "192.0.2.1"));
  EXPECT_EQ(options.names.trust_domain, "example.org");
  EXPECT_EQ(options.names.cluster_id, "c1");
  EXPECT_EQ(options.names.cluster_domain, "cluster.local");
  EXPECT_EQ(options.log_format, observe::Log::Format::kJson);
  EXPECT_EQ(Parsed({"--manifests=/m"}).address.ToString(), "0.0.0.0:15012");
}

TEST(Options, BadValuesAreErrorsThatNameTheFlag) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("--manifests (or AMBIT_MANIFESTS)"));
  EXPECT_THAT(ErrorOf({"--bogus"}), HasSubstr("--bogus"));
  EXPECT_THAT(ErrorOf({"--manifests"}), HasSubstr("--manifests"));
  EXPECT_THAT(ErrorOf({"--manifests=/m", "--address=localhost:1"}), HasSubstr("--address"));
  EXPECT_THAT(ErrorOf({"--manifests=/m", "--trust-domain=A/b"}), HasSubstr("--trust-domain"));
  EXPECT_THAT(ErrorOf({"--manifests=/m"}, {{"LOG_FORMAT", "xml"}}), HasSubstr("LOG_FORMAT"));
  EXPECT_THAT(ErrorOf({"--manifests=/m", "--cluster-id="}), HasSubstr("--cluster-id"));
}

TEST(Options, HelpNamesEveryVariable) {
  auto parsed = ParseOptions({"--help"}, Environment());
  ASSERT_TRUE(parsed);
  std::string help = std::get<Text>(*parsed).text;
  for (const char* name :
       {"AMBIT_MANIFESTS", "AMBIT_CONTROL_ADDRESS", "AMBIT_CONTROL_DATA", "AMBIT_CONTROL_TOKENS",
        "AMBIT_CONTROL_HOSTNAMES", "TRUST_DOMAIN", "CLUSTER_ID", "CLUSTER_DOMAIN"}) {
    EXPECT_THAT(help, HasSubstr(name));
  }
  EXPECT_THAT(std::get<Text>(*ParseOptions({"--version"}, Environment())).text,
              HasSubstr("ambit-control"));
}

}  // namespace
}  // namespace ambit::control
