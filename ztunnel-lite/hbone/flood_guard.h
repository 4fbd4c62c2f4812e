#pragma once

#include <chrono>

namespace ambit::hbone {

// Counts what a peer makes us do for nothing. Pure: the caller brings the time.
class FloodGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `burst` at once, then `per_second`.
  FloodGuard(double burst, double per_second)
      : burst_(burst), per_second_(per_second), tokens_(burst) {}

  // False: one more than allowed.
  bool Allow(Time now);

 private:
  double burst_;
  double per_second_;
  double tokens_;
  Time last_{};
};

}  // namespace ambit::hbone
