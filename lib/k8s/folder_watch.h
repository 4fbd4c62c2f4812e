#pragma once

#include <set>
#include <string>

#include "lib/base/unique_fd.h"

namespace ambit::k8s {

// What happened in a folder since the last look.
struct FolderChanges {
  std::set<std::string> written;  // closed after writing, or moved here
  std::set<std::string> created;  // complete if links, else still being written
  std::set<std::string> removed;  // removed, or moved away
  bool everything = false;        // events were lost or unclear: look at all files again
  bool folder_gone = false;       // the folder was removed, moved away or unmounted
};

// One folder under inotify. The descriptor is non-blocking; its owner waits for it to be readable.
// Thread  one.
class FolderWatch {
 public:
  // Errors  code of the errno; kNotFound: no such folder.
  static Result<FolderWatch> Open(const std::string& folder);

  int fd() const { return fd_.get(); }
  // Takes every event that is waiting. Errors  kIo.
  Result<FolderChanges> Take();

 private:
  explicit FolderWatch(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace ambit::k8s
