#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>

#include "control-plane/options.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/observe/log.h"

namespace ambit::control {

// The whole control plane. Threads  the source of objects runs on the io_context; gRPC brings its
// own threads.
class App {
 public:
  // When it returns, every object has been read and the port is served. References outlive the app.
  // Errors  the root, the token file, the manifests or the port, with the reason.
  static Result<std::unique_ptr<App>> Start(const Options& options,
                                            boost::asio::io_context& context, observe::Log& log,
                                            const Clock& clock);
  // Ends all streams and stops serving.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  uint16_t port() const;

 private:
  struct Parts;
  explicit App(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ambit::control
