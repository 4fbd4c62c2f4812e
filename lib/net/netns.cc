#include "lib/net/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace ambit::net {
namespace {

constexpr char kOwnNetns[] = "/proc/thread-self/ns/net";

}  // namespace

Result<UniqueFd> OpenNetns(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return FailErrno(errno, "open network namespace " + path);
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return Fail(ErrorCode::kInvalidArgument, path + " is not a network namespace");
  }
  return fd;
}

Result<UniqueFd> OpenOwnNetns() { return OpenNetns(kOwnNetns); }

Result<NetnsId> IdentifyNetns(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return FailErrno(errno, "stat network namespace");
  if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
    return Fail(ErrorCode::kInvalidArgument, "the descriptor is not a network namespace");
  }
  return NetnsId{status.st_dev, status.st_ino};
}

Result<ScopedNetns> ScopedNetns::Enter(int netns_fd) {
  if (netns_fd < 0) return ScopedNetns(-1);
  auto previous = OpenOwnNetns();
  if (!previous) return Fail(previous.error());
  auto inside = Enter(netns_fd, previous->get());
  if (inside) inside->opened_ = std::move(*previous);
  return inside;
}

Result<ScopedNetns> ScopedNetns::Enter(int netns_fd, int own_fd) {
  if (netns_fd < 0) return ScopedNetns(-1);
  if (setns(netns_fd, CLONE_NEWNET) != 0) {
    return FailErrno(errno, "enter the network namespace of the pod (needs CAP_SYS_ADMIN)");
  }
  return ScopedNetns(own_fd);
}

ScopedNetns::~ScopedNetns() {
  if (previous_ < 0 || setns(previous_, CLONE_NEWNET) == 0) return;
  std::perror("fatal: cannot return to the own network namespace");
  std::abort();
}

}  // namespace ambit::net
