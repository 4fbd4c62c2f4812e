#include "lib/k8s/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ambit::k8s {
namespace {

// IN_CREATE is there for links, which are never closed after writing; a plain file that was just
// created is told apart by whoever reads it.
constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |
                             IN_DELETE_SELF | IN_MOVE_SELF;

void Note(const inotify_event& event, std::string_view name, FolderChanges& changes) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) changes.everything = true;
  if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
    changes.folder_gone = true;
  }
  if (name.empty()) return;
  // A config map mount swaps its files by moving one link, "..data", over the old one.
  if (name.starts_with("..")) {
    changes.everything = changes.everything || (event.mask & IN_MOVED_TO) != 0;
  } else if ((event.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
    changes.removed.emplace(name);
  } else if ((event.mask & IN_CREATE) != 0) {
    changes.created.emplace(name);
  } else {
    changes.written.emplace(name);
  }
}

}  // namespace

Result<FolderWatch> FolderWatch::Open(const std::string& folder) {
  UniqueFd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "inotify_init1");
  if (inotify_add_watch(fd.get(), folder.c_str(), kEvents | IN_ONLYDIR) < 0) {
    return FailErrno(errno, "watching folder " + folder);
  }
  return FolderWatch(std::move(fd));
}

Result<FolderChanges> FolderWatch::Take() {
  FolderChanges changes;
  alignas(inotify_event) std::array<char, 16384> buffer;
  while (true) {
    ssize_t size = read(fd_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return changes;
    if (size <= 0) return FailErrno(errno, "reading inotify events");
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      Note(event, {name, strnlen(name, event.len)}, changes);
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

}  // namespace ambit::k8s
