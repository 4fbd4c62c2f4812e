#include <sys/resource.h>

#include <cstdio>
#include <utility>

#include "lib/base/environment.h"
#include "node-agent/app/app.h"
#include "node-agent/app/options.h"

namespace {

// Each pod holds a descriptor; the soft limit is often 1024.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Complain(const ambit::Error& error, int exit_status = 1) {
  std::fprintf(stderr, "ambit-agent: %s\n", error.message().c_str());
  return exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  auto invocation = ambit::agent::ParseCommandLine(argc, argv, ambit::Environment::OfProcess());
  if (!invocation.run) {
    std::fputs(invocation.text.c_str(), invocation.exit_status == 0 ? stdout : stderr);
    return invocation.exit_status;
  }
  auto options = ambit::agent::ReadOptions(invocation.environment);
  if (!options) return Complain(options.error(), 2);
  auto log = ambit::observe::Log::Open(options->log);
  if (!log) return Complain(log.error(), 2);
  RaiseDescriptorLimit();
  auto app = ambit::agent::App::Make(std::move(*options), **log);
  if (!app) return Complain(app.error());
  (*app)->StopOnSignals();
  auto ran = (*app)->Run();
  (*log)->Flush();
  return ran ? 0 : Complain(ran.error());
}
