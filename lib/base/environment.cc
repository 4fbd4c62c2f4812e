#include "lib/base/environment.h"

#include <unistd.h>

#include <charconv>
#include <limits>
#include <utility>

namespace ambit {
namespace {

std::unexpected<Error> Bad(std::string_view name, std::string_view value, std::string_view wanted) {
  std::string text = "environment variable ";
  text.append(name).append("=\"").append(value).append("\": ").append(wanted);
  return Fail(ErrorCode::kInvalidArgument, std::move(text));
}

struct Unit {
  std::string_view suffix;
  int64_t milliseconds;
};

// Longest suffix first: "ms" must be seen before "m".
constexpr Unit kUnits[] = {{"ms", 1}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 2;
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0) return std::nullopt;
    std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
    int64_t unit = 0;
    if (rest.empty() && total == 0) unit = 1000;
    for (const Unit& candidate : kUnits) {
      if (unit != 0 || !rest.starts_with(candidate.suffix)) continue;
      unit = candidate.milliseconds;
      rest.remove_prefix(candidate.suffix.size());
    }
    if (unit == 0 || number > kMax / unit || total > kMax - number * unit) return std::nullopt;
    total += number * unit;
    text = rest;
  }
  return std::chrono::milliseconds(total);
}

}  // namespace

Environment Environment::OfProcess() {
  Map values;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view pair(*entry);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    values.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return Environment(std::move(values));
}

std::optional<std::string> Environment::Find(std::string_view name) const {
  auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::string Environment::Text(std::string_view name, std::string_view fallback) const {
  return Find(name).value_or(std::string(fallback));
}

Result<bool> Environment::Bool(std::string_view name, bool fallback) const {
  auto value = Find(name);
  if (!value) return fallback;
  if (*value == "true") return true;
  if (*value == "false") return false;
  return Bad(name, *value, "accepted are true and false");
}

Result<int64_t> Environment::Integer(std::string_view name, int64_t fallback, int64_t low,
                                     int64_t high) const {
  auto value = Find(name);
  if (!value) return fallback;
  int64_t number = 0;
  auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  bool whole = error == std::errc() && end == value->data() + value->size();
  if (!whole || number < low || number > high) {
    return Bad(
        name, *value,
        "accepted is a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

Result<std::chrono::milliseconds> Environment::Duration(std::string_view name,
                                                        std::chrono::milliseconds fallback) const {
  auto value = Find(name);
  if (!value) return fallback;
  if (auto parsed = ParseDuration(*value)) return *parsed;
  return Bad(name, *value, "accepted is a duration such as 5s, 1m30s, 2h or 250ms");
}

}  // namespace ambit
