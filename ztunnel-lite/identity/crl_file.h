#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "lib/observe/log.h"
#include "ztunnel-lite/files/watched_file.h"
#include "ztunnel-lite/tls/peer_rules.h"

// Purpose  keeps the revocation lists equal to a file that may be missing, change or break.
// Threads  that of the io_context.
// Errors   a file that is missing or broken is reported, and what was read last stays in force; it
//          is read again when it changes.
// Logging  scope crl.
namespace ambit::identity {

class CrlFile {
 public:
  // References outlive the object.
  struct Context {
    std::string path;
    tls::Revocations& revocations;
    boost::asio::io_context& control;
    observe::Log& log;
    std::chrono::milliseconds settle{2000};
  };

  // `changed` runs after other lists have come into force, not for those of the start.
  CrlFile(Context context, std::function<void()> changed);

 private:
  bool Load(const Result<std::string>& content);

  const Context context_;
  const std::function<void()> changed_;
  files::WatchedFile file_;
};

}  // namespace ambit::identity
