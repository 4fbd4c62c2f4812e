#pragma once

#include <string>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

namespace ambit::http1 {

// A listening, non-blocking SOCK_STREAM socket at `path`, mode 0600 before anyone can connect; a
// socket file nobody listens on is replaced.
// Errors  kAlreadyExists: another process listens there, or the file is no socket; kIo.
Result<UniqueFd> ListenStream(const std::string& path, int backlog = 128);

}  // namespace ambit::http1
