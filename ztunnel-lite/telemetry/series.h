#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/telemetry/traffic.h"

// Purpose  the counters of traffic, one series per set of labels. Apart from prometheus-cpp's own
//          families, because a connection finds all five counters with one look, because the labels
//          keep their order, and because the number of series has a bound.
// Threads  any; adding to a series that was found is two relaxed atomic adds.
namespace ambit::telemetry {

struct Series {
  std::vector<prometheus::ClientMetric::Label> labels;
  std::atomic<uint64_t> opened{0};
  std::atomic<uint64_t> closed{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> received_bytes{0};
  std::atomic<uint64_t> sent_bytes{0};
  uint64_t last_found = 0;  // guarded by the table's mutex
};

class SeriesTable {
 public:
  static constexpr size_t kDefaultBound = 20000;
  explicit SeriesTable(size_t bound = kDefaultBound) : bound_(bound) {}

  // When the bound is reached, the tenth that was not used for longest makes room; a series that a
  // connection holds stays.
  std::shared_ptr<Series> Find(const ConnectionInfo& info, Flag flag);
  std::vector<prometheus::MetricFamily> Collect() const;
  size_t size() const;

 private:
  void MakeRoom();

  const size_t bound_;
  mutable std::mutex mutex_;
  uint64_t finds_ = 0;
  std::unordered_map<std::string, std::shared_ptr<Series>> series_;
};

}  // namespace ambit::telemetry
