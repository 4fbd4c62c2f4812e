#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/telemetry/bounded_series.h"
#include "ztunnel-lite/telemetry/traffic.h"

// Purpose  the counters of traffic, one series per set of labels. Apart from prometheus-cpp's own
//          families, because a connection finds all five counters with one look, because the labels
//          keep their order, and because the number of series has a bound.
// Threads  any; adding to a series that was found is two relaxed atomic adds.
namespace ambit::telemetry {

struct Series {
  std::atomic<uint64_t> opened{0};
  std::atomic<uint64_t> closed{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> received_bytes{0};
  std::atomic<uint64_t> sent_bytes{0};
};

class SeriesTable {
 public:
  static constexpr size_t kDefaultBound = 20000;
  explicit SeriesTable(size_t bound = kDefaultBound) : series_(bound) {}

  std::shared_ptr<Series> Find(const ConnectionInfo& info, Flag flag);
  std::vector<prometheus::MetricFamily> Collect() const;
  BoundedSeries<Series>& table() { return series_; }
  const BoundedSeries<Series>& table() const { return series_; }
  size_t size() const { return series_.size(); }

 private:
  BoundedSeries<Series> series_;
};

}  // namespace ambit::telemetry
