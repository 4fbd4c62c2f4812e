#pragma once

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

namespace ambit::cni {

// From its making on SIGTERM, SIGINT and SIGHUP no longer end the process but make fd() readable:
// an ADD that is stopped has rules to take out first. SIGKILL leaves them to the end of the
// sandbox and to the agent, which drops a token that is not committed in time.
class StopSignal {
 public:
  static Result<StopSignal> Catch();
  int fd() const { return fd_.get(); }

 private:
  explicit StopSignal(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace ambit::cni
