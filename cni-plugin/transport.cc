#include "cni-plugin/transport.h"

#include "lib/http1/client.h"

namespace ambit::cni {
namespace {

// A program of thousands of messages fits; garbage does not fill the memory.
constexpr size_t kMaxAnswerBytes = 4 << 20;

}  // namespace

Result<http1::Response> UnixTransport::Call(const std::string& socket_path,
                                            const http1::Request& request,
                                            std::chrono::milliseconds timeout, OnStop on_stop) {
  return http1::CallUnix(socket_path, request, timeout, kMaxAnswerBytes,
                         on_stop == OnStop::kCancel ? stop_fd_ : -1);
}

}  // namespace ambit::cni
