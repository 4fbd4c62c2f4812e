#pragma once

#include <memory>

#include "lib/base/error.h"
#include "lib/observe/log.h"
#include "ztunnel-lite/config/config.h"

namespace ambit {

// The tunnel as a whole: makes the parts, connects them, ends them in order.
class App {
 public:
  // Ports bound, threads running. Errors  what could not be set up, for the operator.
  static Result<std::unique_ptr<App>> Start(const config::Config& config, observe::Log& log);
  ~App();

  // The caller has blocked SIGTERM in every thread. Serves until SIGTERM, SIGINT or /quitquitquit,
  // then drains within the deadline. A second SIGINT ends the process at once.
  void Run();

 private:
  class Impl;
  explicit App(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ambit
