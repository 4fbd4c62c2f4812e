#pragma once

#include <functional>
#include <string>

#include "lib/http1/message.h"
#include "lib/observe/log.h"
#include "lib/observe/metrics.h"
#include "lib/observe/readiness.h"
#include "ztunnel-lite/admin/snapshot.h"

// Purpose  the answers of the three HTTP ports; requests in, responses out.
// Threads  control.
namespace ambit::admin {

// Port 15021: GET /healthz/ready.
http1::Response AnswerReadiness(const observe::Readiness& readiness, const http1::Request& request);

// Port 15020: /metrics and /stats/prometheus.
http1::Response AnswerMetrics(const prometheus::Registry& registry, const http1::Request& request);

// Port 15000: /, /config_dump, /logging, /quitquitquit.
struct AdminContext {
  std::function<Snapshot()> snapshot;
  std::function<void()> quit;
  observe::Log& log;
  std::string default_filter;
};
http1::Response AnswerAdmin(const AdminContext& context, const http1::Request& request);

// `current` with the entries of `added` in place of those for the same targets.
std::string MergeFilters(const std::string& current, const std::string& added);

}  // namespace ambit::admin
