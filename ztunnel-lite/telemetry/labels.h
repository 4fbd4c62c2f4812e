#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/telemetry/traffic.h"

namespace ambit::telemetry {

// As the response_flags label says it; "-" for none.
std::string_view FlagText(Flag flag);

// The labels of a connection's series, in the order in which dashboards know them. What is not
// known reads "unknown"; the four of locality are there only if any side is known.
std::vector<prometheus::ClientMetric::Label> TrafficLabels(const ConnectionInfo& info, Flag flag);

}  // namespace ambit::telemetry
