#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <optional>

#include "node-agent/reconcile/reconciler.h"

namespace ambit::reconcile {

// Someone who waits until a pod is enrolled.
struct Reconciler::Waiter {
  explicit Waiter(boost::asio::io_context& io) : timer(io) {}
  boost::asio::steady_timer timer;
  std::optional<Result<void>> result;
};

// A pod's record with what belongs to this process only.
struct Reconciler::Entry {
  explicit Entry(boost::asio::io_context& io) : backoff(io) {}
  enroll::PodRecord record;
  boost::asio::steady_timer backoff;
  std::list<std::shared_ptr<Waiter>> waiters;
  std::optional<enroll::State> counted_as;
  std::optional<std::chrono::steady_clock::time_point> enrolling_since;
  bool observed = false;
  bool interrupted = false;  // the running step's outcome is void
  bool reported_missing_netns = false;
};

}  // namespace ambit::reconcile
