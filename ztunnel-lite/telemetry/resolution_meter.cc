#include "ztunnel-lite/telemetry/resolution_meter.h"

#include "ztunnel-lite/telemetry/labels.h"

namespace ambit::telemetry {

void ResolutionMeter::Count(const state::WorkloadPtr& source, std::string_view hostname) {
  auto labels = SourceLabels(source, source->identity().Uri());
  labels.push_back({"hostname", std::string(hostname)});
  series_.Find(std::move(labels))->fetch_add(1, std::memory_order_relaxed);
}

prometheus::MetricFamily ResolutionMeter::Collect() const {
  prometheus::MetricFamily family;
  family.name = "istio_on_demand_dns_total";
  family.help = "The total number of requests that used on-demand DNS.";
  family.type = prometheus::MetricType::Counter;
  series_.ForEach([&family](const Labels& labels, const std::atomic<uint64_t>& count) {
    auto& metric = family.metric.emplace_back();
    metric.label = labels;
    metric.counter.value = static_cast<double>(count.load(std::memory_order_relaxed));
  });
  return family;
}

}  // namespace ambit::telemetry
