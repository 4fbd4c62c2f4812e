#include "ztunnel-lite/telemetry/error_summary.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ambit::telemetry {

namespace {

constexpr char kScope[] = "errors";
constexpr const char* kRanks[] = {"1", "2", "3", "4", "5"};
static_assert(std::size(kRanks) == ErrorSummary::kMostFrequent);

}  // namespace

void ErrorSummary::Count(std::string_view flag, std::string destination, const Error& error) {
  std::lock_guard lock(mutex_);
  Kind kind(flag, error.code(), std::move(destination));
  auto found = kinds_.find(kind);
  if (found == kinds_.end()) {
    if (kinds_.size() >= kMaxKinds) std::get<2>(kind) = "other destinations";
    found = kinds_.try_emplace(std::move(kind), Seen{0, error.message()}).first;
  }
  ++found->second.count;
}

void ErrorSummary::Write(observe::Log& log, std::chrono::milliseconds interval) {
  std::map<Kind, Seen> kinds;
  {
    std::lock_guard lock(mutex_);
    kinds.swap(kinds_);
  }
  if (kinds.empty() || !log.Enabled(observe::Level::kWarn, kScope)) return;
  uint64_t failures = 0;
  std::vector<std::pair<uint64_t, const std::pair<const Kind, Seen>*>> ranked;
  for (const auto& kind : kinds) {
    failures += kind.second.count;
    ranked.emplace_back(kind.second.count, &kind);
  }
  std::ranges::sort(ranked, [](const auto& a, const auto& b) {
    return std::tie(b.first, a.second->first) < std::tie(a.first, b.second->first);
  });
  ranked.resize(std::min(ranked.size(), kMostFrequent));
  std::vector<std::string> texts;
  for (const auto& [count, kind] : ranked) {
    const auto& [flag, code, destination] = kind->first;
    texts.push_back(std::to_string(count) + " x " + flag + " to " + destination + ": " +
                    kind->second.first);
  }
  const std::string seconds = std::to_string(interval.count() / 1000) + "s";
  std::vector<observe::Field> fields{{"interval", seconds},
                                     {"failures", static_cast<int64_t>(failures)},
                                     {"kinds", static_cast<int64_t>(kinds.size())}};
  for (size_t i = 0; i < texts.size(); ++i) fields.push_back({kRanks[i], texts[i]});
  log.Write(observe::Level::kWarn, kScope, "most frequent failures", fields);
}

}  // namespace ambit::telemetry
