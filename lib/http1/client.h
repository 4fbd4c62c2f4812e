#pragma once

#include <chrono>
#include <string>

#include "lib/base/error.h"
#include "lib/http1/message.h"

namespace ambit::http1 {

// One request on a unix socket, blocking; `timeout` is for the whole exchange, `max_body_bytes` for
// the answer. A wait ends when `cancel_fd`, which is borrowed, becomes readable; -1 for none.
// Errors  kNotFound: no socket file; kUnavailable: nobody listens; kTimedOut; kCancelled;
//         kProtocol: no HTTP answer, one too large, or one that ends early; kIo.
Result<Response> CallUnix(const std::string& socket_path, const Request& request,
                          std::chrono::milliseconds timeout, size_t max_body_bytes = 4 << 20,
                          int cancel_fd = -1);

}  // namespace ambit::http1
