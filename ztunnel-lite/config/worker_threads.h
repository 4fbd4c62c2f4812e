#pragma once

#include <optional>

#include "ztunnel-lite/config/reader.h"

namespace ambit::config {

struct Cpus {
  int logical = 1;
  // Of the proxy configuration; 0: all CPUs.
  std::optional<int> concurrency{};
};

// How many data-path threads: ZTUNNEL_WORKER_THREADS (a count, "NN%" of the CPUs, 0 for all of
// them) where it is set; otherwise the concurrency; otherwise the larger of the Kubernetes CPU
// limit and request where there is a limit; otherwise the largest of a quarter of the CPUs, the
// request and 2. Errors  go to the reader; the count is then of no meaning.
int CountWorkerThreads(Reader& reader, const Cpus& cpus);

}  // namespace ambit::config
