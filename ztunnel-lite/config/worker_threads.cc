#include "ztunnel-lite/config/worker_threads.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ambit::config {

namespace {

constexpr int kMaxThreads = 4096;
constexpr int kMinThreads = 2;

template <typename Number>
bool ParseAll(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// A Kubernetes CPU quantity ("2", "1.5", "500m"), rounded up; 0 where the variable is not set.
int Quantity(Reader& reader, std::string_view name) {
  auto text = reader.Find(name);
  if (!text || text->empty()) return 0;
  bool milli = text->ends_with('m');
  double number = 0;
  bool parsed = ParseAll(std::string_view(*text).substr(0, text->size() - (milli ? 1 : 0)), number);
  if (milli) number /= 1000;
  if (!parsed || !(number > 0) || number > kMaxThreads) {
    reader.Refuse(name, "accepted is a CPU quantity above 0 such as 2, 1.5 or 500m");
    return 0;
  }
  return static_cast<int>(std::ceil(number));
}

std::optional<int> Explicit(Reader& reader, int cpus) {
  constexpr std::string_view kName = "ZTUNNEL_WORKER_THREADS";
  auto text = reader.Find(kName);
  if (!text || text->empty()) return std::nullopt;
  double percent = 0;
  int number = 0;
  if (text->ends_with('%')) {
    if (ParseAll(std::string_view(*text).substr(0, text->size() - 1), percent) && percent > 0 &&
        percent <= 100) {
      return std::max(1, static_cast<int>(std::ceil(cpus * percent / 100)));
    }
  } else if (ParseAll(*text, number) && number >= 0 && number <= kMaxThreads) {
    return number == 0 ? cpus : number;
  }
  reader.Refuse(kName, "accepted is a number of threads or a percentage from 0% to 100% as in 50%");
  return std::nullopt;
}

}  // namespace

int CountWorkerThreads(Reader& reader, const Cpus& cpus) {
  const int limit = Quantity(reader, "ZTUNNEL_RESOURCE_CPU_LIMIT");
  const int request = Quantity(reader, "ZTUNNEL_RESOURCE_CPU_REQUEST");
  int count = std::max(1, cpus.logical);
  reader.Integer("ZTUNNEL_CPU_LIMIT", count, 1, kMaxThreads);
  if (limit > 0) count = limit;
  if (auto chosen = Explicit(reader, count)) return *chosen;
  if (cpus.concurrency) return *cpus.concurrency > 0 ? *cpus.concurrency : count;
  if (limit > 0) return std::max(limit, request);
  return std::max({(count + 3) / 4, request, kMinThreads});
}

}  // namespace ambit::config
