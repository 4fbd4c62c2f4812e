#include "ztunnel-lite/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/config/worker_threads.h"

namespace ambit::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Result<Config> From(Environment::Map values) {
  return Config::FromEnvironment(Environment(std::move(values)));
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
  const std::pair<const char*, const char*> cases[] = {
      {"IPV6_ENABLED", "1"},       {"SECRET_TTL", "soon"},
      {"PACKET_MARK", "-1"},       {"KEEPALIVE_TIME", "x"},
      {"HTTP2_FRAME_SIZE", "100"}, {"ENABLE_ORIG_SRC", "auto"},
      {"LOG_FORMAT", "xml"},       {"AMBIT_ADMIN_PORT", "65536"},
      {"PROXY_MODE", "dedicated"}, {"CRL_PATH", "/crl.pem"},
      {"FAKE_CA", "true"},         {"XDS_ON_DEMAND", "true"},
      {"ENABLE_PROXY", "false"},   {"ZTUNNEL_WORKER_THREADS", "many"},
      {"XDS_ADDRESS", "ftp://x"},  {"CA_ADDRESS", "https://:15012"}};
  for (const auto& [name, value] : cases) {
    auto config = From({{name, value}});
    ASSERT_FALSE(config.has_value()) << name;
    EXPECT_EQ(config.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(config.error().message(), HasSubstr(std::string(name) + "=\"" + value));
  }
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

TEST(WorkerThreads, FollowTheCountThePercentageOrTheResources) {
  struct Case {
    Environment::Map env;
    int cpus;
    int expected;
  };
  const Case cases[] = {
      {{}, 2, 2},
      {{}, 16, 4},
      {{{"ZTUNNEL_CPU_LIMIT", "40"}}, 2, 10},
      {{{"ZTUNNEL_WORKER_THREADS", "3"}}, 16, 3},
      {{{"ZTUNNEL_WORKER_THREADS", "0"}}, 16, 16},
      {{{"ZTUNNEL_WORKER_THREADS", "30%"}}, 10, 3},
      {{{"ZTUNNEL_WORKER_THREADS", "1%"}}, 10, 1},
      {{{"ZTUNNEL_RESOURCE_CPU_LIMIT", "1500m"}}, 16, 2},
      {{{"ZTUNNEL_RESOURCE_CPU_LIMIT", "1"}, {"ZTUNNEL_RESOURCE_CPU_REQUEST", "3"}}, 16, 3},
      {{{"ZTUNNEL_RESOURCE_CPU_REQUEST", "6"}}, 16, 6},
  };
  for (const auto& c : cases) {
    auto count = CountWorkerThreads(Environment(c.env), c.cpus);
    ASSERT_TRUE(count.has_value());
    EXPECT_EQ(*count, c.expected);
  }
  EXPECT_FALSE(CountWorkerThreads(Environment({{"ZTUNNEL_RESOURCE_CPU_LIMIT", "x"}}), 2));
}

}  // namespace
}  // namespace ambit::config
