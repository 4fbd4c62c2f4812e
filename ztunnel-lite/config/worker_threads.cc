#include "ztunnel-lite/config/worker_threads.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ambit::config {

namespace {

constexpr int kMaxThreads = 4096;
constexpr int kMinThreads = 2;

std::unexpected<Error> Bad(std::string_view name, const std::string& value,
                           std::string_view wanted) {
  return Fail(ErrorCode::kInvalidArgument, "environment variable " + std::string(name) + "=\"" +
                                               value + "\": " + std::string(wanted));
}

template <typename Number>
bool ParseAll(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// A Kubernetes CPU quantity ("2", "1.5", "500m"), rounded up; 0 where the variable is not set.
Result<int> Quantity(const Environment& environment, std::string_view name) {
  auto text = environment.Find(name);
  if (!text || text->empty()) return 0;
  bool milli = text->ends_with('m');
  double number = 0;
  bool parsed = ParseAll(std::string_view(*text).substr(0, text->size() - (milli ? 1 : 0)), number);
  if (milli) number /= 1000;
  if (!parsed || !(number >= 0) || number > kMaxThreads) {
    return Bad(name, *text, "accepted is a CPU quantity such as 2, 1.5 or 500m");
  }
  return static_cast<int>(std::ceil(number));
}

Result<int> Explicit(const std::string& text, int cpus) {
  constexpr std::string_view kName = "ZTUNNEL_WORKER_THREADS";
  constexpr std::string_view kWanted = "accepted is a number of threads or a percentage as in 50%";
  bool percent = text.ends_with('%');
  int number = 0;
  if (!ParseAll(std::string_view(text).substr(0, text.size() - (percent ? 1 : 0)), number) ||
      number < 0 || number > kMaxThreads) {
    return Bad(kName, text, kWanted);
  }
  if (percent) return std::max(1, (cpus * number + 99) / 100);
  return number == 0 ? cpus : number;
}

}  // namespace

Result<int> CountWorkerThreads(const Environment& environment, int logical_cpus) {
  auto cpus = environment.Integer("ZTUNNEL_CPU_LIMIT", std::max(1, logical_cpus), 1, kMaxThreads);
  if (!cpus) return std::unexpected(cpus.error());
  int count = static_cast<int>(*cpus);
  auto chosen = environment.Find("ZTUNNEL_WORKER_THREADS");
  if (chosen && !chosen->empty()) return Explicit(*chosen, count);
  auto limit = Quantity(environment, "ZTUNNEL_RESOURCE_CPU_LIMIT");
  if (!limit) return limit;
  auto request = Quantity(environment, "ZTUNNEL_RESOURCE_CPU_REQUEST");
  if (!request) return request;
  if (*limit > 0) return std::max(*limit, *request);
  return std::max({(count + 3) / 4, *request, kMinThreads});
}

}  // namespace ambit::config
