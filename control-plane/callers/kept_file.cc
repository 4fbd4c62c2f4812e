#include "control-plane/callers/kept_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "lib/base/unique_fd.h"

namespace ambit::callers {
namespace {

constexpr size_t kMaxBytes = 1u << 20;

Result<void> WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    ssize_t size = write(fd, content.data(), content.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, "writing " + path);
    content.remove_prefix(static_cast<size_t>(size));
  }
  if (fsync(fd) != 0) return FailErrno(errno, "syncing " + path);
  return {};
}

Result<void> SyncFolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path();
  UniqueFd fd(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return FailErrno(errno, "syncing the folder of " + path);
  return {};
}

Result<std::string> Read(const std::string& path, mode_t forbidden) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return FailErrno(errno, "opening " + path);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return FailErrno(errno, "looking at " + path);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, path + " is no regular file");
  }
  if ((status.st_mode & forbidden) != 0) {
    return Fail(ErrorCode::kPermissionDenied,
                path + " holds a secret but others than its owner can read it; chmod 600 it");
  }
  std::string text;
  std::array<char, 16384> buffer;
  while (text.size() <= kMaxBytes) {
    ssize_t size = read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, "reading " + path);
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  return Fail(ErrorCode::kInvalidArgument, path + " is larger than 1 MiB");
}

}  // namespace

Result<void> KeepFile(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".tmp";
  unlink(temporary.c_str());
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.valid()) return FailErrno(errno, "making " + temporary);
  // The umask may have taken bits away.
  if (fchmod(fd.get(), mode) != 0) return FailErrno(errno, "chmod " + temporary);
  auto written = WriteAll(fd.get(), content, temporary);
  if (written && rename(temporary.c_str(), path.c_str()) != 0) {
    written = FailErrno(errno, "moving " + temporary + " to " + path);
  }
  if (!written) {
    unlink(temporary.c_str());
    return written;
  }
  return SyncFolderOf(path);
}

Result<std::string> ReadPublicFile(const std::string& path) { return Read(path, 0); }

Result<std::string> ReadSecretFile(const std::string& path) {
  return Read(path, S_IRWXG | S_IRWXO);
}

}  // namespace ambit::callers
