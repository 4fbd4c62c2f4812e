#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>

#include "node-agent/enroll/pod_record.h"

namespace ambit::reconcile {

// ambit_agent_pods{state}, ambit_agent_enroll_seconds, ambit_agent_reconcile_errors_total{step},
// ambit_agent_repairs_total. The registry outlives it.
class EnrolmentMetrics {
 public:
  explicit EnrolmentMetrics(prometheus::Registry& registry);

  void Enter(enroll::State state);
  void Leave(enroll::State state);
  void Enrolled(std::chrono::steady_clock::duration took);
  void Failed(enroll::Step step);
  void Repaired();

 private:
  prometheus::Family<prometheus::Gauge>& pods_;
  prometheus::Family<prometheus::Counter>& errors_;
  prometheus::Histogram& enroll_seconds_;
  prometheus::Counter& repairs_;
};

}  // namespace ambit::reconcile
