#include "ztunnel-lite/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace ambit::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Result<Config> From(Environment::Map values) {
  return Config::FromEnvironment(Environment(std::move(values)), "");
}

TEST(Config, AnEmptyEnvironmentGivesTheDefaults) {
  auto config = From({});
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->xds_address, "https://localhost:15012");
  EXPECT_EQ(config->ca_address, "https://localhost:15012");
  EXPECT_EQ(config->cluster_id, "Kubernetes");
  EXPECT_EQ(config->packet_mark, 1337u);
  EXPECT_EQ(config->termination_deadline, seconds(5));
  EXPECT_EQ(config->zds_path, "/var/run/ztunnel/ztunnel.sock");
  EXPECT_EQ(config->secret_ttl, std::chrono::hours(24));
  EXPECT_FALSE(config->preserve_source.has_value());
  EXPECT_FALSE(config->log_json);
}

TEST(Config, InsideKubernetesTheControlPlaneIsIstiod) {
  auto config = From({{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}});
  EXPECT_EQ(config->xds_address, "https://istiod.istio-system.svc:15012");
}

TEST(Config, ASchemeIsAddedAndAnEmptyXdsAddressStaysEmpty) {
  auto config = From({{"XDS_ADDRESS", ""}, {"CA_ADDRESS", "ca.example:15012"}});
  EXPECT_EQ(config->xds_address, "");
  EXPECT_EQ(config->ca_address, "https://ca.example:15012");
}

TEST(Config, TheTerminationDeadlineLeavesTimeWithinTheGracePeriod) {
  const std::pair<const char*, int> cases[] = {{"30", 25}, {"11", 6}, {"10", 9}, {"1", 1}};
  for (const auto& [grace, expected] : cases) {
    EXPECT_EQ(From({{"TERMINATION_GRACE_PERIOD_SECONDS", grace}})->termination_deadline,
              seconds(expected));
  }
  EXPECT_EQ(From({{"TERMINATION_GRACE_PERIOD_SECONDS", "30"},
                  {"CONNECTION_TERMINATION_DEADLINE", "250ms"}})
                ->termination_deadline,
            milliseconds(250));
}

TEST(Config, AMalformedValueIsAnErrorThatNamesTheVariable) {
  const std::pair<const char*, const char*> cases[] = {{"IPV6_ENABLED", "1"},
                                                       {"SECRET_TTL", "soon"},
                                                       {"PACKET_MARK", "-1"},
                                                       {"KEEPALIVE_TIME", "x"},
                                                       {"HTTP2_FRAME_SIZE", "100"},
                                                       {"ENABLE_ORIG_SRC", "auto"},
                                                       {"LOG_FORMAT", "xml"},
                                                       {"AMBIT_ADMIN_PORT", "65536"},
                                                       {"PROXY_MODE", "sidecar"},
                                                       {"AMBIT_TRUST_DOMAIN_ALIASES", "a,,b"},
                                                       {"TLS12_ENABLED", "true"},
                                                       {"COMPLIANCE_POLICY", "pqc"},
                                                       {"PROXY_CONFIG", "- a"},
                                                       {"AUTHZ_POLICY_INFO_LOGGING", "yes"},
                                                       {"KEEPALIVE_RETRIES", "0"},
                                                       {"POOL_MAX_STREAMS_PER_CONNECTION", "65536"},
                                                       {"FAKE_CA", "true"},
                                                       {"XDS_ON_DEMAND", "true"},
                                                       {"POOL_UNUSED_RELEASE_TIMEOUT", "5 m"},
                                                       {"ZTUNNEL_WORKER_THREADS", "many"},
                                                       {"XDS_ADDRESS", "ftp://x"},
                                                       {"CA_ADDRESS", "https://:15012"}};
  for (const auto& [name, value] : cases) {
    auto config = From({{name, value}});
    ASSERT_FALSE(config.has_value()) << name;
    EXPECT_EQ(config.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(config.error().message(), HasSubstr(std::string(name) + "=\"" + value));
  }
}

TEST(Config, TrustDomainAliasesAreOneWithTheTrustDomain) {
  EXPECT_TRUE(From({})->trust_domain_aliases.empty());
  auto config = From({{"TRUST_DOMAIN", "td"}, {"AMBIT_TRUST_DOMAIN_ALIASES", "old.td,td,older"}});
  EXPECT_EQ(config->trust_domain_aliases, (std::vector<std::string>{"td", "old.td", "older"}));
}

TEST(Config, ALocalFileIsNamedOrGivenButNotBoth) {
  EXPECT_EQ(From({{"LOCAL_XDS_PATH", "/f"}})->local_xds_path, "/f");
  EXPECT_EQ(From({{"LOCAL_XDS", "workloads: []"}})->local_xds, "workloads: []");
  auto both = From({{"LOCAL_XDS_PATH", "/f"}, {"LOCAL_XDS", "x"}});
  ASSERT_FALSE(both.has_value());
  EXPECT_THAT(both.error().message(), HasSubstr("LOCAL_XDS_PATH=\"/f\": LOCAL_XDS is set too"));
}

TEST(Config, AnExistingTokenIsAFileAndAnyOtherIsTheTokenItself) {
  auto file = From({{"AUTH_TOKEN", "/etc/passwd"}});
  EXPECT_EQ(file->auth_token_path, "/etc/passwd");
  EXPECT_EQ(file->auth_token_literal, "");
  auto literal = From({{"AUTH_TOKEN", "secret"}});
  EXPECT_EQ(literal->auth_token_path, "");
  EXPECT_EQ(literal->auth_token_literal, "secret");
}

TEST(Config, MetadataAndHeadersComeByPrefix) {
  auto config = From({{"ISTIO_META_DNS_CAPTURE", "true"},
                      {"ISTIO_METAJSON_LABELS", "{\"a\":1}"},
                      {"XDS_HEADER_X_Env", "v"},
                      {"ISTIO_META_CLUSTER_ID", "c1"},
                      {"CLUSTER_ID", "c2"}});
  EXPECT_EQ(config->proxy_metadata.at("DNS_CAPTURE"), "true");
  EXPECT_EQ(config->proxy_metadata_json.at("LABELS"), "{\"a\":1}");
  EXPECT_THAT(config->xds_headers, ElementsAre(Pair("x_env", "v")));
  EXPECT_EQ(config->cluster_id, "c1");
}

TEST(Config, ADedicatedTunnelIsToldItsPodAndMarksNothing) {
  auto config = From({{"PROXY_MODE", "dedicated"}, {"PROXY_WORKLOAD_INFO", "shop/web-1/front"}});
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->dedicated, (DedicatedPod{"shop", "web-1", "front"}));
  EXPECT_EQ(config->packet_mark, 0u);
  EXPECT_EQ(
      From({{"PROXY_MODE", "dedicated"}, {"PROXY_WORKLOAD_INFO", "a/b/c"}, {"PACKET_MARK", "7"}})
          ->packet_mark,
      7u);
  EXPECT_FALSE(From({{"PROXY_WORKLOAD_INFO", "a/b/c"}})->dedicated.has_value());
}

TEST(Config, ADedicatedTunnelWithoutItsPodIsRefused) {
  for (const char* text : {"", "web", "shop/web"}) {
    auto config = From({{"PROXY_MODE", "dedicated"}, {"PROXY_WORKLOAD_INFO", text}});
    ASSERT_FALSE(config.has_value()) << text;
    EXPECT_THAT(config.error().message(), HasSubstr("namespace/name/service-account"));
  }
}

TEST(Config, DnsIsServedUnlessCaptureIsThereAndNotTrue) {
  EXPECT_TRUE(From({})->dns);
  EXPECT_TRUE(From({{"ISTIO_META_DNS_CAPTURE", "TRUE"}})->dns);
  EXPECT_FALSE(From({{"ISTIO_META_DNS_CAPTURE", "false"}})->dns);
  EXPECT_FALSE(From({{"PROXY_CONFIG", "proxyMetadata: {DNS_CAPTURE: 'no'}"}})->dns);
}

TEST(Config, TheDnsProxyListensWhereItIsTold) {
  EXPECT_EQ(From({})->dns_address.port, 15053);
  auto local = From({{"ISTIO_META_DNS_PROXY_ADDR", "localhost:53"}});
  EXPECT_EQ(local->dns_address.port, 53);
  EXPECT_FALSE(local->dns_address.address.has_value());
  auto one = From({{"ISTIO_META_DNS_PROXY_ADDR", "127.0.0.5:5300"}});
  EXPECT_EQ(one->dns_address.address, net::IpAddress::Parse("127.0.0.5").value());
  EXPECT_EQ(one->dns_address.port, 5300);
  for (const char* bad : {"localhost", "localhost:x", "example.com:53", ""}) {
    auto config = From({{"ISTIO_META_DNS_PROXY_ADDR", bad}});
    ASSERT_FALSE(config.has_value()) << bad;
    EXPECT_THAT(config.error().message(), HasSubstr("DNS_PROXY_ADDR"));
  }
}

TEST(Config, WithoutTheProxyThereMustBeDns) {
  auto dns_only = From({{"ENABLE_PROXY", "false"}});
  ASSERT_TRUE(dns_only.has_value()) << dns_only.error().message();
  EXPECT_FALSE(dns_only->proxy);
  EXPECT_FALSE(From({{"ENABLE_PROXY", "false"}, {"ISTIO_META_DNS_CAPTURE", "false"}}).has_value());
}

TEST(Config, TheProxyConfigurationGivesWhatNoVariableSays) {
  const char* text =
      R"({"discoveryAddress": "istiod.mesh:15012", "proxyAdminPort": 1, "statsPort": 2,
                         "concurrency": 3, "proxyMetadata": {"ISTIO_META_A": "1", "B": "2"}})";
  auto config = From({{"PROXY_CONFIG", text}, {"ISTIO_META_B", "3"}});
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->xds_address, "https://istiod.mesh:15012");
  EXPECT_EQ(config->ca_address, "https://localhost:15012");
  EXPECT_EQ(config->admin_port, 1);
  EXPECT_EQ(config->metrics_port, 2);
  EXPECT_EQ(config->worker_threads, 3);
  EXPECT_THAT(config->proxy_metadata, ElementsAre(Pair("A", "1"), Pair("B", "3")));
  EXPECT_EQ(From({{"PROXY_CONFIG", text}, {"XDS_ADDRESS", ""}})->xds_address, "");
}

TEST(Config, TheMeshConfigurationIsUnderTheProxyConfiguration) {
  std::string path = testing::TempDir() + "/ambit-mesh-" + std::to_string(getpid());
  std::ofstream(path) << "trustDomain: x\ndefaultConfig:\n  discoveryAddress: a:1\n"
                         "  concurrency: 5\n  proxyMetadata: {A: '1', B: '2'}\n";
  auto config = Config::FromEnvironment(
      Environment({{"PROXY_CONFIG", "concurrency: 7\nproxyMetadata: {B: '3'}"}}), path);
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->xds_address, "https://a:1");
  EXPECT_EQ(config->worker_threads, 7);
  EXPECT_THAT(config->proxy_metadata, ElementsAre(Pair("A", "1"), Pair("B", "3")));
  std::ofstream(path) << "defaultConfig: 1\n";
  auto broken = Config::FromEnvironment(Environment(), path);
  ASSERT_FALSE(broken.has_value());
  EXPECT_THAT(broken.error().message(), HasSubstr(path));
  std::filesystem::remove(path);
}

TEST(Config, VariablesThatLookLikeOursAndAreNotAreNamed) {
  auto config = From({{"AMBIT_ADMIN_PROT", "1"},
                      {"ZTUNNEL_WORKER_THREAD", "1"},
                      {"ZTUNNEL_WORKER_THREADS", "1"},
                      {"PATH", "/bin"}});
  EXPECT_THAT(config->unknown_variables, ElementsAre("AMBIT_ADMIN_PROT", "ZTUNNEL_WORKER_THREAD"));
}

TEST(Config, ATunnelsPingsHaveTheirOwnPaceAndPatience) {
  auto config = From({{"AMBIT_PING_INTERVAL", "1s"}, {"AMBIT_PING_TIMEOUT", "250ms"}});
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->ping_interval, seconds(1));
  EXPECT_EQ(config->ping_timeout, milliseconds(250));
  for (const char* name : {"AMBIT_PING_INTERVAL", "AMBIT_PING_TIMEOUT"}) {
    EXPECT_FALSE(From({{name, "0s"}}).has_value()) << name;
  }
}

}  // namespace
}  // namespace ambit::config
