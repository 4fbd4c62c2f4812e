#include "ztunnel-lite/telemetry/series.h"

#include <algorithm>

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
    {"istio_tcp_connections_failed_total", "The total number of TCP connections failed.",
     &Series::failed},
};

std::string KeyOf(const std::vector<prometheus::ClientMetric::Label>& labels) {
  std::string key;
  key.reserve(512);
  for (const auto& label : labels) key.append(label.value).push_back('\x1f');
  return key;
}

}  // namespace

std::shared_ptr<Series> SeriesTable::Find(const ConnectionInfo& info, Flag flag) {
  auto labels = TrafficLabels(info, flag);
  std::string key = KeyOf(labels);
  std::lock_guard lock(mutex_);
  auto found = series_.find(key);
  if (found == series_.end()) {
    if (series_.size() >= bound_) MakeRoom();
    auto series = std::make_shared<Series>();
    series->labels = std::move(labels);
    found = series_.emplace(std::move(key), std::move(series)).first;
  }
  found->second->last_found = ++finds_;
  return found->second;
}

void SeriesTable::MakeRoom() {
  std::vector<std::pair<uint64_t, const std::string*>> idle;
  for (const auto& [key, series] : series_) {
    if (series.use_count() == 1) idle.emplace_back(series->last_found, &key);
  }
  size_t count = std::min(idle.size(), bound_ / 10 + 1);
  std::ranges::partial_sort(idle, idle.begin() + static_cast<std::ptrdiff_t>(count));
  for (size_t i = 0; i < count; ++i) series_.erase(series_.find(*idle[i].second));
}

std::vector<prometheus::MetricFamily> SeriesTable::Collect() const {
  std::lock_guard lock(mutex_);
  std::vector<prometheus::MetricFamily> families;
  for (const auto& shape : kFamilies) {
    auto& family = families.emplace_back();
    family.name = shape.name;
    family.help = shape.help;
    family.type = prometheus::MetricType::Counter;
    for (const auto& [key, series] : series_) {
      uint64_t value = ((*series).*shape.value).load(std::memory_order_relaxed);
      if (value == 0) continue;
      auto& metric = family.metric.emplace_back();
      metric.label = series->labels;
      metric.counter.value = static_cast<double>(value);
    }
  }
  return families;
}

size_t SeriesTable::size() const {
  std::lock_guard lock(mutex_);
  return series_.size();
}

}  // namespace ambit::telemetry
