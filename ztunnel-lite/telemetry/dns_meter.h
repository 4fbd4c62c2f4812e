#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/state/mesh_state.h"
#include "ztunnel-lite/telemetry/bounded_series.h"

// Purpose  the metrics of the DNS proxy, one series per set of labels, with a bound on their
// number. Threads  any; counting on a series that was found is an atomic add. Metrics
// istio_dns_requests_total, istio_dns_upstream_requests_total,
//          istio_dns_upstream_failures_total, istio_dns_upstream_request_duration_seconds.
namespace ambit::telemetry {

enum class DnsProtocol : uint8_t { kUdp, kTcp };

class DnsSeries {
 public:
  void CountRequest() { requests_.fetch_add(1, std::memory_order_relaxed); }
  // A question that was forwarded has its end: no answer, or one that is none, is a failure.
  enum class Outcome : uint8_t { kAnswered, kFailed };
  void CountUpstream(std::chrono::nanoseconds duration, Outcome outcome);

 private:
  friend class DnsMeter;
  // Seconds; the last bucket is for all that took longer.
  static constexpr std::array<double, 6> kBounds = {0.0005, 0.001, 0.01, 0.1, 1, 5};

  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> upstream_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> nanoseconds_{0};
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets_{};
};

class DnsMeter {
 public:
  static constexpr size_t kDefaultBound = 5000;
  explicit DnsMeter(size_t bound = kDefaultBound) : series_(bound) {}

  // `query_type` is the number of the type, e.g. 1 for A; of the client, null is unknown.
  std::shared_ptr<DnsSeries> Find(uint16_t query_type, DnsProtocol protocol,
                                  const state::Workload* client);
  std::vector<prometheus::MetricFamily> Collect() const;
  BoundedSeries<DnsSeries>& table() { return series_; }
  const BoundedSeries<DnsSeries>& table() const { return series_; }
  size_t size() const { return series_.size(); }

 private:
  BoundedSeries<DnsSeries> series_;
};

// "a", "aaaa", …; "unknown" for a type that is rare or none, so that clients cannot make series.
std::string_view QueryTypeName(uint16_t type);

}  // namespace ambit::telemetry
