#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "lib/base/error.h"
#include "lib/observe/log.h"

// Purpose  the failures of connections, counted by cause and destination, so that one line an
//          interval says what a flood of lines would hide.
// Threads  any.
// Logging  scope errors, level warn, one line an interval in which something failed.
namespace ambit::telemetry {

class ErrorSummary {
 public:
  static constexpr size_t kMostFrequent = 5;
  // Beyond it, destinations are counted together.
  static constexpr size_t kMaxKinds = 1024;

  // `flag` as the response_flags label says it.
  void Count(std::string_view flag, std::string destination, const Error& error);
  // What was counted since the last call, which `interval` ago was; then begins anew.
  void Write(observe::Log& log, std::chrono::milliseconds interval);

 private:
  using Kind = std::tuple<std::string, ErrorCode, std::string>;
  struct Seen {
    uint64_t count = 0;
    std::string first;  // its message
  };

  std::mutex mutex_;
  std::map<Kind, Seen> kinds_;
};

}  // namespace ambit::telemetry
