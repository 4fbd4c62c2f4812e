#pragma once

#include <chrono>

namespace ambit {

// The outside world's time, handed in by constructor so that a test can pass its own.
// Thread  implementations are safe from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time, for certificates and log lines.
  virtual std::chrono::system_clock::time_point Now() const = 0;
  // Never goes back; for deadlines and durations.
  virtual std::chrono::steady_clock::time_point Steady() const = 0;
};

class SystemClock : public Clock {
 public:
  std::chrono::system_clock::time_point Now() const override;
  std::chrono::steady_clock::time_point Steady() const override;
};

}  // namespace ambit
