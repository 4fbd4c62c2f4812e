#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/telemetry/traffic.h"

namespace ambit::telemetry {

// As the response_flags label says it; "-" for none.
std::string_view FlagText(Flag flag);

// Those that say who the source is, source_workload to source_cluster.
std::vector<prometheus::ClientMetric::Label> SourceLabels(const state::WorkloadPtr& source,
                                                          std::string_view principal);

// The labels of a connection's series, in the order in which dashboards know them. What is not
// known reads "unknown"; the four of locality are there only if any side is known.
std::vector<prometheus::ClientMetric::Label> TrafficLabels(const ConnectionInfo& info, Flag flag);

}  // namespace ambit::telemetry
