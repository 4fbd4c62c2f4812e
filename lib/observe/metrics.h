#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>

// Purpose  OpenMetrics text of a prometheus-cpp registry (OpenMetrics 1.0, ends with "# EOF").
// Threads  prometheus-cpp's own: registration takes a lock, Increment is atomic. Find a series once
//          and keep the reference; never look it up on a hot path.
namespace ambit::observe {

// Counters appear with "_total" appended unless their name has it; families without a series are
// left out.
std::string OpenMetricsText(const prometheus::Registry& registry);

inline constexpr char kOpenMetricsContentType[] =
    "application/openmetrics-text;charset=utf-8;version=1.0.0";

}  // namespace ambit::observe
