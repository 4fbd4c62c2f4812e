#pragma once

#include <chrono>
#include <string>

#include "lib/base/error.h"
#include "lib/http1/message.h"

namespace ambit::http1 {

// One request on a unix socket, blocking, `timeout` for the whole exchange, the answer's body
// bounded by `max_body_bytes`. Errors  kNotFound: no socket file; kUnavailable: nobody listens;
// kTimedOut; kProtocol: the answer
//         is not HTTP or too large, or the connection ended early; kCancelled; kIo.
Result<Response> CallUnix(const std::string& socket_path, const Request& request,
                          std::chrono::milliseconds timeout, size_t max_body_bytes = 4 << 20,
                          int cancel_fd = -1);

}  // namespace ambit::http1
