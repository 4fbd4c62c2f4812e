#include "cni-plugin/stop_signal.h"

#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>

namespace ambit::cni {

Result<StopSignal> StopSignal::Catch() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return FailErrno(errno, "block signals");
  UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return FailErrno(errno, "create a signalfd");
  return StopSignal(std::move(fd));
}

}  // namespace ambit::cni
