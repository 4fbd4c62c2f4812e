#include "node-agent/app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::agent {
namespace {

using testing::HasSubstr;

Invocation Parse(std::vector<const char*> arguments, Environment::Map environment = {}) {
  arguments.insert(arguments.begin(), "ambit-agent");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data(),
                          Environment(std::move(environment)));
}

Result<Options> Read(Environment::Map environment) {
  environment.try_emplace("AMBIT_MANIFESTS", "/m");
  return ReadOptions(Environment(std::move(environment)));
}

TEST(Options, WithoutAnythingButTheManifestsTheDefaultsHold) {
  auto options = Read({});
  ASSERT_TRUE(options.has_value()) << options.error().message();
  EXPECT_EQ(options->agent_socket, "/run/ambit/agent.sock");
  EXPECT_EQ(options->zds_socket, "/var/run/ztunnel/ztunnel.sock");
  EXPECT_EQ(options->state_folder, "/run/ambit");
  EXPECT_EQ(options->monitoring_port, 15014);
  EXPECT_EQ(options->health_port, 8000);
  EXPECT_EQ(options->kubelet_uid, 0u);
  EXPECT_TRUE(options->redirect.ipv6);
  EXPECT_FALSE(options->redirect.dns_capture);
  EXPECT_FALSE(options->status_needs_tunnel);
  EXPECT_EQ(options->selection.selectors.size(), k8s::MeshSelection::Default().selectors.size());
}

TEST(Options, VariablesAreRead) {
  auto options = Read({{"NODE_NAME", "n1"},
                       {"AMBIT_AGENT_SOCKET", "/x/agent.sock"},
                       {"AMBIENT_DNS_CAPTURE", "true"},
                       {"AMBIENT_IPV6", "false"},
                       {"EXCLUDE_NAMESPACES", "kube-system, other"},
                       {"HOST_PROBE_SNAT_IP", "169.254.1.1"},
                       {"AMBIT_KUBELET_UID", "1001"},
                       {"MONITORING_PORT", "0"},
                       {"AMBIT_VERIFY_INTERVAL", "5s"},
                       {"LOG_FORMAT", "json"}});
  ASSERT_TRUE(options.has_value()) << options.error().message();
  EXPECT_EQ(options->node_name, "n1");
  EXPECT_EQ(options->state_folder, "/x");
  EXPECT_TRUE(options->redirect.dns_capture);
  EXPECT_FALSE(options->redirect.ipv6);
  EXPECT_THAT(options->selection.excluded_namespaces, testing::ElementsAre("kube-system", "other"));
  EXPECT_EQ(options->redirect.probe_v4.ToString(), "169.254.1.1");
  EXPECT_EQ(options->kubelet_uid, 1001u);
  EXPECT_EQ(options->monitoring_port, 0);
  EXPECT_EQ(options->verify_interval, std::chrono::seconds(5));
  EXPECT_EQ(options->log.format, observe::Log::Format::kJson);
}

TEST(Options, AnEmptyVariableCountsAsAbsent) {
  auto options = Read({{"AMBIENT_IPV6", ""}, {"MONITORING_PORT", ""}, {"LOG_FORMAT", ""}});
  ASSERT_TRUE(options.has_value()) << options.error().message();
  EXPECT_TRUE(options->redirect.ipv6);
  EXPECT_EQ(options->monitoring_port, 15014);
}

TEST(Options, AWrongValueIsNamedWithItsVariable) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"AMBIENT_IPV6", "maybe"},
                                          {"MONITORING_PORT", "70000"},
                                          {"AMBIT_KUBELET_UID", "root"},
                                          {"HOST_PROBE_SNAT_IP", "fd00::1"},
                                          {"HOST_PROBE_SNAT_IPV6", "10.0.0.1"},
                                          {"AMBIT_VERIFY_INTERVAL", "soon"},
                                          {"LOG_FORMAT", "xml"},
                                          {"AMBIENT_ENABLEMENT_SELECTOR", "{{"}}) {
    auto options = Read({{name, value}});
    ASSERT_FALSE(options.has_value()) << name;
    EXPECT_THAT(options.error().message(), HasSubstr(name));
  }
}

TEST(Options, TheManifestsMustBeNamed) {
  auto options = ReadOptions(Environment());
  ASSERT_FALSE(options.has_value());
  EXPECT_THAT(options.error().message(), HasSubstr("--manifests"));
}

TEST(CommandLine, AFlagWinsOverItsVariable) {
  auto invocation = Parse({"run", "--node-name", "flag", "--ambient-ipv6=false"},
                          {{"NODE_NAME", "variable"}, {"AMBIT_MANIFESTS", "/m"}});
  ASSERT_TRUE(invocation.run) << invocation.text;
  auto options = ReadOptions(invocation.environment);
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->node_name, "flag");
  EXPECT_FALSE(options->redirect.ipv6);
  EXPECT_EQ(options->manifests, "/m");
}

TEST(CommandLine, HelpAndVersionSucceedAndNameEveryVariable) {
  auto help = Parse({"run", "--help"});
  EXPECT_FALSE(help.run);
  EXPECT_EQ(help.exit_status, 0);
  EXPECT_THAT(help.text, HasSubstr("AMBIENT_ENABLEMENT_SELECTOR"));
  EXPECT_EQ(Parse({"--help"}).exit_status, 0);
  EXPECT_EQ(Parse({"--version"}).exit_status, 0);
}

TEST(CommandLine, ABadFlagIsNamedAndNothingRuns) {
  auto invocation = Parse({"run", "--manifest", "/m"});
  EXPECT_FALSE(invocation.run);
  EXPECT_EQ(invocation.exit_status, 2);
  EXPECT_THAT(invocation.text, HasSubstr("--manifest"));
  EXPECT_EQ(Parse({}).exit_status, 2);
  EXPECT_EQ(Parse({}).text, "ambit-agent: a command is required: run; see --help\n");
  EXPECT_EQ(Parse({"install"}).exit_status, 2);
  EXPECT_EQ(Parse({"install"}).text,
            "ambit-agent: The following argument was not expected: install; see --help\n");
}

}  // namespace
}  // namespace ambit::agent
