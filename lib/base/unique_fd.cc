#include "lib/base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace ambit {

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Result<UniqueFd> UniqueFd::Duplicate() const {
  int copy = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return FailErrno(errno, "duplicate file descriptor");
  return UniqueFd(copy);
}

}  // namespace ambit
