#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/environment.h"
#include "lib/base/error.h"

namespace ambit::config {

// Reads variables one by one, keeps the first error and remembers what was asked for: that is what
// the program knows. Where a variable is absent or malformed `out` stays as it is.
class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  std::optional<std::string> Find(std::string_view name);
  void Text(std::string_view name, std::string& out);
  // Only `true` and `false`.
  void Bool(std::string_view name, bool& out);
  void Bool(std::string_view name, std::optional<bool>& out);
  void Time(std::string_view name, std::chrono::milliseconds& out);
  // Rounded up.
  void Seconds(std::string_view name, std::chrono::seconds& out);
  template <typename Number>
  void Integer(std::string_view name, Number& out, int64_t low = 0,
               int64_t high = std::numeric_limits<Number>::max()) {
    Note(name);
    Keep(environment_.Integer(name, static_cast<int64_t>(out), low, high), out);
  }
  // Every variable that begins so, the prefix removed.
  Environment::Map WithPrefix(std::string_view prefix);

  // The variable's value is not accepted; `why` says what is.
  void Refuse(std::string_view name, std::string_view why);
  void Refuse(Error error);
  template <typename T, typename U>
  void Keep(const Result<T>& value, U& out) {
    if (value) {
      out = static_cast<U>(*value);
    } else {
      Refuse(value.error());
    }
  }

  const std::optional<Error>& error() const { return error_; }
  // Names; prefixes end in an asterisk.
  const std::set<std::string, std::less<>>& known() const { return known_; }
  // Set, named as if they were meant for this program, and not known to it.
  std::vector<std::string> Unknown() const;

 private:
  void Note(std::string_view name) { known_.emplace(name); }

  const Environment& environment_;
  std::optional<Error> error_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace ambit::config
