#include "ztunnel-lite/config/worker_threads.h"

#include <gtest/gtest.h>

namespace ambit::config {
namespace {

TEST(WorkerThreads, FollowTheCountThePercentageOrTheResources) {
  struct Case {
    Environment::Map env;
    int cpus;
    int expected;
    std::optional<int> concurrency{};
  };
  const Case cases[] = {
      {{}, 2, 2},
      {{}, 16, 4},
      {{{"ZTUNNEL_CPU_LIMIT", "40"}}, 2, 10},
      {{{"ZTUNNEL_WORKER_THREADS", "3"}}, 16, 3},
      {{{"ZTUNNEL_WORKER_THREADS", "0"}}, 16, 16},
      {{{"ZTUNNEL_WORKER_THREADS", "30%"}}, 10, 3},
      {{{"ZTUNNEL_WORKER_THREADS", "1%"}}, 10, 1},
      {{{"ZTUNNEL_RESOURCE_CPU_LIMIT", "1500m"}}, 16, 2},
      {{{"ZTUNNEL_RESOURCE_CPU_LIMIT", "1"}, {"ZTUNNEL_RESOURCE_CPU_REQUEST", "3"}}, 16, 3},
      {{{"ZTUNNEL_RESOURCE_CPU_REQUEST", "6"}}, 16, 6},
      {{{"ZTUNNEL_WORKER_THREADS", "12.5%"}}, 16, 2},
      {{{"ZTUNNEL_WORKER_THREADS", "50%"}, {"ZTUNNEL_RESOURCE_CPU_LIMIT", "4"}}, 16, 2},
      {{}, 16, 5, 5},
      {{}, 16, 16, 0},
      {{{"ZTUNNEL_RESOURCE_CPU_LIMIT", "3"}}, 16, 3, 0},
      {{{"ZTUNNEL_WORKER_THREADS", "7"}}, 16, 7, 5},
  };
  for (const auto& c : cases) {
    const Environment environment(c.env);
    Reader reader(environment);
    EXPECT_EQ(CountWorkerThreads(reader, {c.cpus, c.concurrency}), c.expected);
    EXPECT_FALSE(reader.error().has_value());
  }
}

TEST(WorkerThreads, AMalformedCountIsAnError) {
  const std::pair<const char*, const char*> cases[] = {{"ZTUNNEL_RESOURCE_CPU_LIMIT", "x"},
                                                       {"ZTUNNEL_RESOURCE_CPU_LIMIT", "0"},
                                                       {"ZTUNNEL_RESOURCE_CPU_REQUEST", "m"},
                                                       {"ZTUNNEL_RESOURCE_CPU_REQUEST", "-1"},
                                                       {"ZTUNNEL_WORKER_THREADS", "0%"},
                                                       {"ZTUNNEL_WORKER_THREADS", "101%"},
                                                       {"ZTUNNEL_WORKER_THREADS", "2.5"},
                                                       {"ZTUNNEL_WORKER_THREADS", "-2"},
                                                       {"ZTUNNEL_CPU_LIMIT", "0"},
                                                       {"ZTUNNEL_CPU_LIMIT", "2.5"}};
  for (const auto& [name, value] : cases) {
    const Environment environment(Environment::Map{{name, value}});
    Reader reader(environment);
    CountWorkerThreads(reader, {2, std::nullopt});
    ASSERT_TRUE(reader.error().has_value()) << name << value;
    EXPECT_NE(reader.error()->message().find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace ambit::config
