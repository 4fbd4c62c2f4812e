#include "ztunnel-lite/telemetry/series.h"

#include "ztunnel-lite/telemetry/labels.h"

namespace ambit::telemetry {

namespace {

struct FamilyShape {
  const char* name;
  const char* help;
  std::atomic<uint64_t> Series::* value;
};

constexpr FamilyShape kFamilies[] = {
    {"istio_tcp_connections_opened_total", "The total number of TCP connections opened.",
     &Series::opened},
    {"istio_tcp_connections_closed_total", "The total number of TCP connections closed.",
     &Series::closed},
    {"istio_tcp_received_bytes_total",
     "The size of total bytes received during request in case of a TCP connection.",
     &Series::received_bytes},
    {"istio_tcp_sent_bytes_total",
     "The size of total bytes sent during response in case of a TCP connection.",
     &Series::sent_bytes},
    {"istio_tcp_connections_failed_total",
     "The total number of TCP connections that failed to establish (unstable).", &Series::failed},
};

}  // namespace

std::shared_ptr<Series> SeriesTable::Find(const ConnectionInfo& info, Flag flag) {
  return series_.Find(TrafficLabels(info, flag));
}

std::vector<prometheus::MetricFamily> SeriesTable::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& shape : kFamilies) {
    auto& family = families.emplace_back();
    family.name = shape.name;
    family.help = shape.help;
    family.type = prometheus::MetricType::Counter;
  }
  series_.ForEach([&families](const Labels& labels, const Series& series) {
    for (size_t i = 0; i < families.size(); ++i) {
      uint64_t value = (series.*kFamilies[i].value).load(std::memory_order_relaxed);
      if (value == 0) continue;
      auto& metric = families[i].metric.emplace_back();
      metric.label = labels;
      metric.counter.value = static_cast<double>(value);
    }
  });
  return families;
}

}  // namespace ambit::telemetry
