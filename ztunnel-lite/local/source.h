#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "lib/base/error.h"
#include "lib/observe/log.h"
#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/local/resources.h"

// Purpose  keeps in the mesh state what a local file says, in addition to the control plane and as
//          a replacement for it where there is none (docs/local-config.md).
// Threads  control.
// Errors   a file that turns bad or goes away is reported, and what was read last stays in force.
// Logging  scope local: what was loaded, and why a file was refused.
namespace ambit::local {

class Source {
 public:
  // All outlive the source.
  struct Context {
    const config::Config& config;
    state::MeshState& mesh;
    boost::asio::io_context& control;
    observe::Log& log;
  };

  // Loads LOCAL_XDS_PATH or LOCAL_XDS, and watches the file. Without either the source is empty.
  // Errors  the file cannot be read or understood: there is nothing to fall back to yet.
  static Result<std::unique_ptr<Source>> Start(Context context);
  ~Source();

  // What the file said when it was good last.
  const Resources& loaded() const;

 private:
  class Impl;
  explicit Source(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ambit::local
