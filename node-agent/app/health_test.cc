#include "node-agent/app/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/gauge.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

namespace ambit::agent {
namespace {

class HealthTest : public testing::Test {
 protected:
  template <typename Page>
  http1::Response Get(Page page, const std::string& target) {
    http1::Request request;
    request.target = target;
    std::optional<http1::Response> got;
    boost::asio::co_spawn(
        io_, (pages_.*page)(request),
        [&got](const std::exception_ptr&, http1::Response response) { got = std::move(response); });
    io_.restart();
    io_.run();
    return *got;
  }

  boost::asio::io_context io_;
  observe::Readiness readiness_;
  prometheus::Registry registry_;
  HealthPages pages_{readiness_, registry_};
};

TEST_F(HealthTest, ReadinessNamesWhatIsPending) {
  readiness_.MarkPending("source");
  auto response = Get(&HealthPages::Health, "/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, testing::HasSubstr("source"));
  EXPECT_EQ(Get(&HealthPages::Health, "/healthz").status, 200);
  readiness_.MarkReady("source");
  EXPECT_EQ(Get(&HealthPages::Health, "/readyz").status, 200);
  EXPECT_EQ(Get(&HealthPages::Health, "/other").status, 404);
}

TEST_F(HealthTest, MetricsAreOpenMetrics) {
  prometheus::BuildGauge().Name("ztunnel_connected").Register(registry_).Add({}).Set(1);
  auto response = Get(&HealthPages::Metrics, "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, testing::HasSubstr("ztunnel_connected 1"));
  EXPECT_THAT(response.body, testing::EndsWith("# EOF\n"));
  EXPECT_EQ(Get(&HealthPages::Metrics, "/").status, 404);
}

}  // namespace
}  // namespace ambit::agent
