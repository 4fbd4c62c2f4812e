#pragma once

#include <sys/stat.h>

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "control-plane/callers/token_table.h"
#include "lib/observe/log.h"

namespace ambit::callers {

// A token file that is read again whenever it has changed. One that cannot be read or parsed is
// logged once per change, and the tokens of before stay valid.
// Thread  any.
class TokenFile {
 public:
  // An empty path: no token is ever valid. The log outlives the object.
  TokenFile(std::string path, observe::Log& log) : path_(std::move(path)), log_(log) {}

  // Errors  the file cannot be read or parsed now.
  Result<void> Load();
  std::optional<std::string> NodeOf(std::string_view token);

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    int64_t modified_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  Stamp Look() const;
  Result<void> Read();

  const std::string path_;
  observe::Log& log_;
  std::mutex mutex_;
  Stamp stamp_;
  TokenTable table_;
};

}  // namespace ambit::callers
