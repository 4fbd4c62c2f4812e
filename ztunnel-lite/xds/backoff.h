#pragma once

#include <chrono>
#include <functional>
#include <random>

namespace ambit::xds {

// Delays between attempts: doubling from `first` to `cap`, each moved by up to `jitter` of itself
// in both directions, so that the nodes of a cluster do not come back at the same moment. Thread
// one.
class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds first{20};
    std::chrono::milliseconds cap{15000};
    double jitter = 0.2;
  };

  explicit Backoff(Options options) : options_(options), next_(options.first) {}

  std::chrono::milliseconds Next();
  void Reset() { next_ = options_.first; }

 private:
  Options options_;
  std::chrono::milliseconds next_;
  std::minstd_rand random_{std::random_device()()};
};

}  // namespace ambit::xds
