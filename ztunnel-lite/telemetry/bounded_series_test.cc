#include "ztunnel-lite/telemetry/bounded_series.h"

#include <gtest/gtest.h>

#include <atomic>

namespace ambit::telemetry {
namespace {

using Table = BoundedSeries<std::atomic<uint64_t>>;

Labels Named(const std::string& name) { return {{"workload", name}}; }

TEST(BoundedSeries, KeepsItsBoundAndWhatIsInUse) {
  Table table(10);
  auto held = table.Find(Named("held"));
  for (int i = 0; i < 100; ++i) table.Find(Named("pod-" + std::to_string(i)));
  EXPECT_LE(table.size(), 10u);
  EXPECT_EQ(table.Find(Named("held")), held);
  EXPECT_GT(table.counts().evicted, 89u);
  EXPECT_EQ(table.counts().overflowed, 0u);
}

TEST(BoundedSeries, WhereAllAreHeldTheRestIsCountedInOne) {
  Table table(3);
  std::vector<std::shared_ptr<std::atomic<uint64_t>>> held;
  for (int i = 0; i < 10; ++i) {
    held.push_back(table.Find(Named("pod-" + std::to_string(i))));
    ++*held.back();
  }
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.counts().overflowed, 7u);
  uint64_t total = 0, overflow = 0;
  table.ForEach([&](const Labels& labels, const std::atomic<uint64_t>& value) {
    total += value;
    if (labels.front().value == Table::kOverflow) overflow += value;
  });
  EXPECT_EQ(total, 10u) << "nothing is lost";
  EXPECT_EQ(overflow, 7u);
}

TEST(BoundedSeries, ASeriesThatIsFoundAgainIsNotGone) {
  Table table(3);
  const std::chrono::hours hour(1);
  std::chrono::steady_clock::time_point now;
  auto look = [&] { table.Expire(now, hour, [](const Labels&) { return true; }); };
  table.Find(Named("a"));
  look();
  now += hour;
  table.Find(Named("a"));
  look();
  EXPECT_EQ(table.size(), 1u);
  now += hour;
  look();
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace ambit::telemetry
