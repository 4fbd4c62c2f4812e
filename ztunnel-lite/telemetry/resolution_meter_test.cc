#include "ztunnel-lite/telemetry/resolution_meter.h"

#include <gtest/gtest.h>

namespace ambit::telemetry {
namespace {

TEST(ResolutionMeter, CountsBySourceAndHostnameInTheOrderOfTheLabels) {
  auto source = std::make_shared<state::Workload>();
  source->ns = "default";
  source->service_account = "client";
  source->canonical_name = "client";
  ResolutionMeter meter;
  for (int i = 0; i < 2; ++i) meter.Count(source, "db.example.com");
  auto family = meter.Collect();
  EXPECT_EQ(family.name, "istio_on_demand_dns_total");
  ASSERT_EQ(family.metric.size(), 1u);
  EXPECT_EQ(family.metric[0].counter.value, 2);
  std::string labels;
  for (const auto& label : family.metric[0].label) labels += label.name + "=" + label.value + " ";
  EXPECT_EQ(labels,
            "source_workload=unknown source_canonical_service=client "
            "source_canonical_revision=unknown source_workload_namespace=default "
            "source_principal=spiffe://cluster.local/ns/default/sa/client source_app=client "
            "source_version=unknown source_cluster=Kubernetes hostname=db.example.com ");
}

}  // namespace
}  // namespace ambit::telemetry
