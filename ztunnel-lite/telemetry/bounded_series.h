#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/observe/metrics.h"

// Purpose  one `Series` per set of labels, with a bound on their number and an end for those of
//          workloads that are gone.
// Threads  any. No call holds the lock for longer than a copy of pointers, but for MakeRoom().
namespace ambit::telemetry {

using Labels = std::vector<prometheus::ClientMetric::Label>;

// What became of series so far, as the metrics about metrics say it.
struct SeriesCounts {
  size_t now = 0;
  uint64_t evicted = 0;     // made room for others
  uint64_t expired = 0;     // of workloads that are gone
  uint64_t overflowed = 0;  // looked for, no room: counted in the series "overflow" instead
};

template <typename Series>
class BoundedSeries {
 public:
  static constexpr char kOverflow[] = "overflow";

  explicit BoundedSeries(size_t bound) : bound_(bound) {}

  // The series of these labels; the names are always the same, so that the values tell. At the
  // bound, the tenth that was not used for longest makes room; a series that somebody holds stays.
  // Where all are held, one series with "overflow" for every value stands for the rest.
  std::shared_ptr<Series> Find(Labels labels) {
    std::string key = KeyOf(labels);
    std::lock_guard lock(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
      if (entries_.size() >= bound_ && MakeRoom() == 0) return Overflow(std::move(labels));
      found = entries_.emplace(std::move(key), std::make_shared<Entry>(std::move(labels))).first;
    }
    Entry& entry = *found->second;
    entry.last_found = ++finds_;
    entry.gone_since.reset();
    return entry.series;
  }

  // visit(labels, series) for each, without the lock.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const auto& entry : Snapshot()) visit(entry->labels, *entry->series);
  }

  // Removes what nobody holds and what gone(labels) has said of at every call for at least `keep`.
  template <typename Gone>
  void Expire(std::chrono::steady_clock::time_point now, std::chrono::milliseconds keep,
              Gone gone) {
    for (const auto& entry : Snapshot()) {
      const bool is_gone = gone(entry->labels);
      std::lock_guard lock(mutex_);
      if (!is_gone || entry->series.use_count() > 1) {
        entry->gone_since.reset();
      } else if (!entry->gone_since) {
        entry->gone_since = now;
      } else if (now - *entry->gone_since >= keep && entry != overflow_) {
        counts_.expired += entries_.erase(KeyOf(entry->labels));
      }
    }
  }

  SeriesCounts counts() const {
    std::lock_guard lock(mutex_);
    SeriesCounts counts = counts_;
    counts.now = entries_.size();
    return counts;
  }
  size_t size() const { return counts().now; }

 private:
  struct Entry {
    explicit Entry(Labels of) : labels(std::move(of)) {}
    const Labels labels;
    const std::shared_ptr<Series> series = std::make_shared<Series>();
    uint64_t last_found = 0;
    std::optional<std::chrono::steady_clock::time_point> gone_since;
  };
  using EntryPtr = std::shared_ptr<Entry>;

  static std::string KeyOf(const Labels& labels) {
    std::string key;
    key.reserve(512);
    for (const auto& label : labels) key.append(label.value).push_back('\x1f');
    return key;
  }

  std::vector<EntryPtr> Snapshot() const {
    std::vector<EntryPtr> entries;
    std::lock_guard lock(mutex_);
    entries.reserve(entries_.size() + 1);
    for (const auto& [key, entry] : entries_) entries.push_back(entry);
    if (overflow_) entries.push_back(overflow_);
    return entries;
  }

  // How many went.
  size_t MakeRoom() {
    std::vector<std::pair<uint64_t, const std::string*>> idle;
    for (const auto& [key, entry] : entries_) {
      if (entry->series.use_count() == 1) idle.emplace_back(entry->last_found, &key);
    }
    const size_t count = std::min(idle.size(), bound_ / 10 + 1);
    std::ranges::partial_sort(idle, idle.begin() + static_cast<std::ptrdiff_t>(count));
    for (size_t i = 0; i < count; ++i) entries_.erase(entries_.find(*idle[i].second));
    counts_.evicted += count;
    return count;
  }

  std::shared_ptr<Series> Overflow(Labels labels) {
    ++counts_.overflowed;
    if (!overflow_) {
      for (auto& label : labels) label.value = kOverflow;
      overflow_ = std::make_shared<Entry>(std::move(labels));
    }
    return overflow_->series;
  }

  const size_t bound_;
  mutable std::mutex mutex_;
  uint64_t finds_ = 0;
  SeriesCounts counts_;
  std::unordered_map<std::string, EntryPtr> entries_;
  EntryPtr overflow_;
};

}  // namespace ambit::telemetry
