#include "node-agent/reconcile/enrolment_metrics.h"

#include <string>

namespace ambit::reconcile {
namespace {

// Seconds; an ADD should stay below 10 ms, and the plugin gives up after some seconds.
const prometheus::Histogram::BucketBoundaries& Boundaries() {
  static const prometheus::Histogram::BucketBoundaries kBoundaries{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  return kBoundaries;
}

}  // namespace

EnrolmentMetrics::EnrolmentMetrics(prometheus::Registry& registry)
    : pods_(prometheus::BuildGauge()
                .Name("ambit_agent_pods")
                .Help("Pods of this node by their state of enrolment")
                .Register(registry)),
      errors_(prometheus::BuildCounter()
                  .Name("ambit_agent_reconcile_errors")
                  .Help("Failed steps of enrolment or removal; each is tried again")
                  .Register(registry)),
      enroll_seconds_(prometheus::BuildHistogram()
                          .Name("ambit_agent_enroll_seconds")
                          .Help("From a known namespace of a labelled pod to its enrolment")
                          .Register(registry)
                          .Add({}, Boundaries())),
      repairs_(prometheus::BuildCounter()
                   .Name("ambit_agent_repairs")
                   .Help("Pods whose rules had changed and were to be repaired")
                   .Register(registry)
                   .Add({})) {}

void EnrolmentMetrics::Enter(enroll::State state) {
  pods_.Add({{"state", std::string(enroll::StateName(state))}}).Increment();
}

void EnrolmentMetrics::Leave(enroll::State state) {
  pods_.Add({{"state", std::string(enroll::StateName(state))}}).Decrement();
}

void EnrolmentMetrics::Enrolled(std::chrono::steady_clock::duration took) {
  enroll_seconds_.Observe(std::chrono::duration<double>(took).count());
}

void EnrolmentMetrics::Failed(enroll::Step step) {
  errors_.Add({{"step", std::string(enroll::StepName(step))}}).Increment();
}

void EnrolmentMetrics::Repaired() { repairs_.Increment(); }

}  // namespace ambit::reconcile
