#include "lib/http1/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ambit::http1 {
namespace {

Result<UniqueFd> MakeSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FailErrno(errno, "create a unix socket");
  return fd;
}

// A full queue (EAGAIN) is a living listener too; only a refusal says that nobody is there.
Result<void> RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) {
    return Fail(ErrorCode::kAlreadyExists, path + " exists and is no socket; it is left alone");
  }
  auto probe = MakeSocket();
  if (!probe) return Fail(std::move(probe).error());
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe->get(), raw, sizeof(address)) == 0 || errno != ECONNREFUSED) {
    return Fail(ErrorCode::kAlreadyExists, "another process already listens on " + path);
  }
  if (unlink(path.c_str()) != 0) return FailErrno(errno, "remove the stale socket " + path);
  return {};
}

}  // namespace

Result<UniqueFd> ListenStream(const std::string& path, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalidArgument,
                "socket path \"" + path + "\" must have 1 to 107 characters");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (auto removed = RemoveStale(path, address); !removed) {
    return Fail(std::move(removed).error());
  }
  auto fd = MakeSocket();
  if (!fd) return fd;
  // Until listen() nobody can connect, so the mode is right before the first peer.
  if (bind(fd->get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(fd->get(), backlog) != 0) {
    return FailErrno(errno, "listen on " + path);
  }
  return fd;
}

}  // namespace ambit::http1
