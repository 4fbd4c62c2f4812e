#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/state/mesh_state.h"
#include "ztunnel-lite/telemetry/bounded_series.h"

// Purpose  hostnames of endpoints that were resolved for a connection, from memory or not.
// Threads  any.
// Metrics  istio_on_demand_dns_total.
namespace ambit::telemetry {

class ResolutionMeter {
 public:
  static constexpr size_t kDefaultBound = 5000;
  explicit ResolutionMeter(size_t bound = kDefaultBound) : series_(bound) {}

  void Count(const state::WorkloadPtr& source, std::string_view hostname);
  prometheus::MetricFamily Collect() const;

 private:
  BoundedSeries<std::atomic<uint64_t>> series_;
};

}  // namespace ambit::telemetry
