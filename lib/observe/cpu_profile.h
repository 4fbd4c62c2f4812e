#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "lib/base/error.h"

// Purpose  where this process spends its CPU time: the stack of the thread that runs, taken each
//          time the process has used another 1/frequency of a second, as a pprof profile.
// Threads  Start and Finish on one thread; all threads of the process are sampled.
// Costs    a signal per sample; at most kMaxSamples are kept, what comes after is not counted.
namespace ambit::observe {

class CpuProfile {
 public:
  static constexpr size_t kMaxSamples = 200'000;

  // Errors  kAlreadyExists: another profile of this process is being taken; kResourceExhausted.
  static Result<std::unique_ptr<CpuProfile>> Start(int frequency_hz);
  // Stops sampling.
  ~CpuProfile();
  CpuProfile(const CpuProfile&) = delete;
  CpuProfile& operator=(const CpuProfile&) = delete;

  // Stops sampling; the profile as a protobuf message perftools.profiles.Profile. Functions of the
  // program itself have addresses only: `pprof <program> <profile>` finds their names.
  std::string Finish();

 private:
  explicit CpuProfile(int frequency_hz);
  void Stop();

  const int frequency_hz_;
  const std::chrono::system_clock::time_point start_;
  std::chrono::nanoseconds duration_{0};
  bool stopped_ = false;
};

}  // namespace ambit::observe
