#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/error.h"

namespace ambit {

// A copy of the process's environment variables, read once in main() and passed on, so that a test
// can pass any other. Every error names the variable, its value and what is accepted.
class Environment {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  Environment() = default;
  explicit Environment(Map values) : values_(std::move(values)) {}
  static Environment OfProcess();

  // Absent is nullopt; present but empty is "".
  std::optional<std::string> Find(std::string_view name) const;
  std::string Text(std::string_view name, std::string_view fallback) const;
  // Accepts exactly "true" and "false". Errors  kInvalidArgument.
  Result<bool> Bool(std::string_view name, bool fallback) const;
  // Decimal. Errors  kInvalidArgument: not a number, or outside [low, high].
  Result<int64_t> Integer(std::string_view name, int64_t fallback, int64_t low, int64_t high) const;
  // "5s", "1m30s", "2h", "250ms"; a bare number means seconds. Errors  kInvalidArgument.
  Result<std::chrono::milliseconds> Duration(std::string_view name,
                                             std::chrono::milliseconds fallback) const;
  const Map& all() const { return values_; }

 private:
  Map values_;
};

}  // namespace ambit
