#include "ztunnel-lite/hbone/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace ambit::hbone {

Result<Pipe> PipePool::Take() {
  if (!free_.empty()) {
    Pipe pipe = std::move(free_.back());
    free_.pop_back();
    return pipe;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return FailErrno(errno, "pipe for splice");
  // Refused beyond the user's pipe quota; the default of 64 KiB works as well.
  (void)fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void PipePool::Give(Pipe pipe) {
  if (free_.size() < kKeptPipes) free_.push_back(std::move(pipe));
}

}  // namespace ambit::hbone
