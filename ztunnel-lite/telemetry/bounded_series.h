#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/observe/metrics.h"

// Purpose  one `Series` per set of labels, with a bound on their number.
// Threads  any.
namespace ambit::telemetry {

using Labels = std::vector<prometheus::ClientMetric::Label>;

template <typename Series>
class BoundedSeries {
 public:
  explicit BoundedSeries(size_t bound) : bound_(bound) {}

  // The series of these labels; the names are always the same, so that the values tell. At the
  // bound, the tenth that was not used for longest makes room; a series that somebody holds stays.
  std::shared_ptr<Series> Find(Labels labels) {
    std::string key;
    key.reserve(512);
    for (const auto& label : labels) key.append(label.value).push_back('\x1f');
    std::lock_guard lock(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
      if (entries_.size() >= bound_) MakeRoom();
      Entry entry{std::move(labels), std::make_shared<Series>(), 0};
      found = entries_.emplace(std::move(key), std::move(entry)).first;
    }
    found->second.last_found = ++finds_;
    return found->second.series;
  }

  // visit(labels, series) for each, under the lock: short, and nothing of this table.
  template <typename Visit>
  void ForEach(Visit visit) const {
    std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : entries_) visit(entry.labels, *entry.series);
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    Labels labels;
    std::shared_ptr<Series> series;
    uint64_t last_found = 0;
  };

  void MakeRoom() {
    std::vector<std::pair<uint64_t, const std::string*>> idle;
    for (const auto& [key, entry] : entries_) {
      if (entry.series.use_count() == 1) idle.emplace_back(entry.last_found, &key);
    }
    const size_t count = std::min(idle.size(), bound_ / 10 + 1);
    std::ranges::partial_sort(idle, idle.begin() + static_cast<std::ptrdiff_t>(count));
    for (size_t i = 0; i < count; ++i) entries_.erase(entries_.find(*idle[i].second));
  }

  const size_t bound_;
  mutable std::mutex mutex_;
  uint64_t finds_ = 0;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace ambit::telemetry
