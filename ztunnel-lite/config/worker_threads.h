#pragma once

#include "lib/base/environment.h"
#include "lib/base/error.h"

namespace ambit::config {

// How many data-path threads: ZTUNNEL_WORKER_THREADS (a count, "NN%" of the CPUs, 0 for all of
// them) where it is set; otherwise the larger of the Kubernetes CPU limit and request where there
// is a limit; otherwise the largest of a quarter of the CPUs, the request and 2. ZTUNNEL_CPU_LIMIT
// replaces `logical_cpus`. Errors  kInvalidArgument.
Result<int> CountWorkerThreads(const Environment& environment, int logical_cpus);

}  // namespace ambit::config
