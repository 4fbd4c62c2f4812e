#pragma once

#include <string>
#include <vector>

#include "lib/base/error.h"
#include "node-agent/podns/sandbox.h"

// Purpose  what a restarted agent must know about pods that run: their namespaces, and whether it
//          has put rules there. A file on tmpfs, replaced by rename.
// Threads  any; calls block on the file.
namespace ambit::podns {

struct SavedPod {
  std::string uid;
  std::string namespace_name;
  std::string name;
  Sandbox sandbox;  // without handle as it comes from the file
  bool rules = false;
};

std::string FormatState(const std::vector<SavedPod>& pods, const std::string& boot_id);
// A file of another boot gives no pods: inode numbers start anew with the kernel.
// Errors  kInvalidArgument: not a state file of ours.
Result<std::vector<SavedPod>> ParseState(const std::string& text, const std::string& boot_id);

class StateFile {
 public:
  // `folder` exists. `boot_id` as in /proc/sys/kernel/random/boot_id.
  StateFile(std::string folder, std::string boot_id);

  // No file gives no pods. Errors  kIo; kInvalidArgument.
  Result<std::vector<SavedPod>> Load() const;
  Result<void> Save(const std::vector<SavedPod>& pods) const;

 private:
  std::string path_;
  std::string boot_id_;
};

// The pods whose path still leads to the namespace it led to when saved, with handles; the others
// are dropped, each with a sentence in `dropped`.
std::vector<SavedPod> Reopen(std::vector<SavedPod> pods, const net::NetnsId& host,
                             std::vector<std::string>& dropped);

// Errors  kIo.
Result<std::string> ReadBootId();

}  // namespace ambit::podns
