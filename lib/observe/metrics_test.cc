#include "lib/observe/metrics.h"

#include <gtest/gtest.h>

namespace ambit::observe {
namespace {

TEST(OpenMetrics, CounterFamilyHasNoSuffixAndItsSampleHas) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildCounter().Name("istio_x_total").Help("The x.").Register(registry);
  family.Add({{"reporter", "a\"b"}}).Increment(3);
  EXPECT_EQ(OpenMetricsText(registry),
            "# HELP istio_x The x.\n# TYPE istio_x counter\n"
            "istio_x_total{reporter=\"a\\\"b\"} 3\n# EOF\n");
}

TEST(OpenMetrics, FamiliesWithoutSeriesAreLeftOut) {
  prometheus::Registry registry;
  prometheus::BuildGauge().Name("g").Help("G.").Register(registry);
  EXPECT_EQ(OpenMetricsText(registry), "# EOF\n");
}

TEST(OpenMetrics, HistogramsHaveBucketsSumAndCount) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildHistogram().Name("h").Help("H.").Register(registry);
  family.Add({}, prometheus::Histogram::BucketBoundaries{0.5, 1}).Observe(0.75);
  EXPECT_EQ(OpenMetricsText(registry),
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 0\nh_bucket{le=\"1\"} 1\n"
            "h_bucket{le=\"+Inf\"} 1\nh_sum 0.75\nh_count 1\n# EOF\n");
}

}  // namespace
}  // namespace ambit::observe
