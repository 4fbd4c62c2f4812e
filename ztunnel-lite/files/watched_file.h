#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/error.h"

// Purpose  one configuration file that may change, go and come while the process runs.
// Threads  that of the io_context.
namespace ambit::files {

// The whole file. Errors  code of the errno; kInvalidArgument: no regular file, or above the limit.
Result<std::string> ReadFile(const std::string& path, size_t limit_bytes);

class WatchedFile {
 public:
  struct Options {
    std::string path;
    // From the first sign of a change to the look at it, so that several writes are one change.
    std::chrono::milliseconds settle{100};
    size_t limit_bytes = 64u << 20;
  };
  using Told = std::function<void(const Result<std::string>&)>;

  // `told` runs whenever the content, or the reason why there is none, differs from the last time.
  // Its folder is watched, so that a file that is replaced, or swapped by a link as mounted config
  // maps are, is noticed; while the folder cannot be watched the file is read once a second.
  WatchedFile(boost::asio::io_context& context, Options options, Told told);
  ~WatchedFile();
  WatchedFile(const WatchedFile&) = delete;
  WatchedFile& operator=(const WatchedFile&) = delete;

  // The content as it stands; from now on changes are told. Errors  as ReadFile.
  Result<std::string> Start();

 private:
  class Watcher;
  const std::shared_ptr<Watcher> watcher_;
};

}  // namespace ambit::files
