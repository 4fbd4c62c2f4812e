#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "lib/base/environment.h"
#include "ztunnel-lite/app.h"

namespace {

constexpr char kHelp[] =
    "usage: ztunnel-lite [proxy [...] | version | help]\n"
    "  proxy    serve the pods of this node (default; further arguments are ignored)\n"
    "  version  print the version\n"
    "  help     print this text\n"
    "Configuration comes from the environment, see ztunnel-lite/README.md.\n";

// A connection is two descriptors; the soft limit is far too low for a node.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// For every thread that comes; the app's signal thread takes it.
void BlockTermination() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int Fatal(const ambit::Error& error) {
  std::fprintf(stderr, "ztunnel-lite: %s\n", error.message().c_str());
  return 1;
}

int Serve() {
  signal(SIGPIPE, SIG_IGN);
  BlockTermination();
  RaiseDescriptorLimit();
  auto config = ambit::config::Config::FromEnvironment(ambit::Environment::OfProcess());
  if (!config) return Fatal(config.error());
  ambit::observe::Log::Options options;
  options.format =
      config->log_json ? ambit::observe::Log::Format::kJson : ambit::observe::Log::Format::kPlain;
  options.filter = config->log_filter;
  auto log = ambit::observe::Log::Open(options);
  if (!log) return Fatal(log.error());
  auto app = ambit::App::Start(*config, **log);
  if (!app) {
    (*log)->Flush();
    return Fatal(app.error());
  }
  (*app)->Run();
  app->reset();
  (*log)->Flush();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view command = argc > 1 ? argv[1] : "proxy";
  if (command == "proxy") return Serve();
  if (command == "version" || command == "--version") {
    std::printf("ztunnel-lite %s\n", AMBIT_VERSION);
    return 0;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  std::fprintf(stderr, "ztunnel-lite: unknown command '%s'; see ztunnel-lite help\n", argv[1]);
  return 1;
}
