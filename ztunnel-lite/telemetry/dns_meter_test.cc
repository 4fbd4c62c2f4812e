#include "ztunnel-lite/telemetry/dns_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/telemetry/traffic_meter.h"

namespace ambit::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
using Outcome = DnsSeries::Outcome;

state::Workload Client(const std::string& name) {
  state::Workload client;
  client.canonical_name = name;
  client.canonical_revision = "v1";
  return client;
}

constexpr char kLabels[] =
    "{request_query_type=\"a\",request_protocol=\"udp\",source_canonical_service=\"web\","
    "source_canonical_revision=\"v1\"";

TEST(DnsMeter, CountsQuestionsByTypeProtocolAndClient) {
  MetricsRegistry registry;
  auto client = Client("web");
  registry.dns().Find(1, DnsProtocol::kUdp, &client)->CountRequest();
  registry.dns().Find(1, DnsProtocol::kUdp, &client)->CountRequest();
  registry.dns().Find(33, DnsProtocol::kTcp, nullptr)->CountRequest();
  const std::string text = observe::OpenMetricsText(registry);
  EXPECT_THAT(text, HasSubstr("istio_dns_requests_total" + std::string(kLabels) + "} 2\n"));
  EXPECT_THAT(text, HasSubstr("istio_dns_requests_total{request_query_type=\"srv\","
                              "request_protocol=\"tcp\",source_canonical_service=\"unknown\","
                              "source_canonical_revision=\"unknown\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("upstream"))) << "families without a sample are left out";
}

TEST(DnsMeter, MeasuresWhatIsForwarded) {
  MetricsRegistry registry;
  auto client = Client("web");
  auto series = registry.dns().Find(1, DnsProtocol::kUdp, &client);
  series->CountUpstream(milliseconds(1), Outcome::kAnswered);
  series->CountUpstream(milliseconds(50), Outcome::kFailed);
  series->CountUpstream(seconds(7), Outcome::kFailed);
  const std::string text = observe::OpenMetricsText(registry);
  const std::string prefix = "istio_dns_upstream_request_duration_seconds";
  EXPECT_THAT(text,
              HasSubstr("istio_dns_upstream_requests_total" + std::string(kLabels) + "} 3\n"));
  EXPECT_THAT(text,
              HasSubstr("istio_dns_upstream_failures_total" + std::string(kLabels) + "} 2\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_bucket" + kLabels + ",le=\"0.0005\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_bucket" + kLabels + ",le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_bucket" + kLabels + ",le=\"0.1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_bucket" + kLabels + ",le=\"5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_bucket" + kLabels + ",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_count" + kLabels + "} 3\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "_sum" + kLabels + "} 7.051\n"));
}

TEST(DnsMeter, RareTypesShareOneSeries) {
  DnsMeter meter;
  for (uint16_t type = 1000; type < 2000; ++type) meter.Find(type, DnsProtocol::kUdp, nullptr);
  EXPECT_EQ(meter.size(), 1u);
}

TEST(DnsMeter, HasABoundAndKeepsWhatIsHeld) {
  DnsMeter meter(20);
  auto first = Client("first");
  auto held = meter.Find(1, DnsProtocol::kUdp, &first);
  for (int i = 0; i < 1000; ++i) {
    auto client = Client(std::to_string(i));
    meter.Find(1, DnsProtocol::kUdp, &client);
  }
  EXPECT_LE(meter.size(), 20u);
  EXPECT_EQ(meter.Find(1, DnsProtocol::kUdp, &first), held);
}

}  // namespace
}  // namespace ambit::telemetry
