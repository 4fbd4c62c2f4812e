#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "control-plane/app.h"
#include "control-plane/options.h"
#include "lib/base/clock.h"
#include "lib/base/environment.h"
#include "lib/observe/log.h"

namespace {

constexpr int kBadUsage = 2;

int Refuse(const ambit::Error& error, int code) {
  std::fprintf(stderr, "ambit-control: %s\n", error.message().c_str());
  return code;
}

int Run(const ambit::control::Options& options, ambit::observe::Log& log) {
  boost::asio::io_context context;
  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  ambit::SystemClock clock;
  auto app = ambit::control::App::Start(options, context, log, clock);
  if (!app) {
    log.ErrorLine("control", app.error().message());
    return 1;
  }
  signals.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
  context.run();
  log.Info("control", "stopping");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  auto parsed = ambit::control::ParseOptions(std::vector<std::string>(argv + 1, argv + argc),
                                             ambit::Environment::OfProcess());
  if (!parsed) return Refuse(parsed.error(), kBadUsage);
  if (auto* text = std::get_if<ambit::control::Text>(&*parsed)) {
    std::fputs(text->text.c_str(), stdout);
    return 0;
  }
  const auto& options = std::get<ambit::control::Options>(*parsed);
  auto log = ambit::observe::Log::Open({options.log_format, options.log_filter, 1});
  if (!log) return Refuse(log.error(), kBadUsage);
  int code = Run(options, **log);
  (*log)->Flush();
  return code;
}
