#pragma once

#include <sys/types.h>

#include <compare>
#include <string>
#include <type_traits>
#include <utility>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

// Purpose  opening, telling apart and entering network namespaces.
// Threads  setns changes the calling thread only; see ScopedNetns.
// Source   setns(2), network_namespaces(7), ioctl_ns(2).
namespace ambit::net {

// What makes two handles the same namespace: device and inode of the nsfs file.
struct NetnsId {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const NetnsId&) const = default;
};

// Opens e.g. /run/netns/x or /proc/<pid>/ns/net, close-on-exec.
// Errors  kNotFound; kPermissionDenied; kInvalidArgument: the file is no network namespace.
Result<UniqueFd> OpenNetns(const std::string& path);
// The namespace of the calling thread.
Result<UniqueFd> OpenOwnNetns();
// Errors  kInvalidArgument: `fd` is no network namespace; kIo.
Result<NetnsId> IdentifyNetns(int fd);

// The calling thread is in another network namespace while this lives. No co_await and no hand-over
// to another thread in its scope. If the thread cannot go back, the process ends with a message:
// a thread in the wrong namespace would serve the wrong pod.
class ScopedNetns {
 public:
  // A negative `netns_fd` is the thread's own namespace: nothing is done and no privilege needed.
  // Errors  kPermissionDenied: CAP_SYS_ADMIN is missing; kInvalidArgument; kIo.
  static Result<ScopedNetns> Enter(int netns_fd);
  // For a thread that does it often: `own_fd` is the namespace it is in, which outlives this; the
  // other form opens that anew each time.
  static Result<ScopedNetns> Enter(int netns_fd, int own_fd);
  ScopedNetns(ScopedNetns&& other) noexcept
      : opened_(std::move(other.opened_)), previous_(std::exchange(other.previous_, -1)) {}
  ScopedNetns& operator=(ScopedNetns&&) = delete;
  ~ScopedNetns();

 private:
  explicit ScopedNetns(int previous) : previous_(previous) {}
  UniqueFd opened_;
  int previous_;
};

// Runs `work` inside the namespace and returns its Result; an error of entering comes first.
template <typename Work>
std::invoke_result_t<Work> InNetns(int netns_fd, Work work) {
  auto inside = ScopedNetns::Enter(netns_fd);
  if (!inside) return std::unexpected(std::move(inside).error());
  return work();
}

}  // namespace ambit::net
