#pragma once

#include <chrono>
#include <string>

#include "lib/base/error.h"
#include "lib/http1/message.h"

namespace ambit::cni {

// Whether SIGTERM ends the wait. What takes back a half-done ADD must run in spite of it.
enum class OnStop { kCancel, kGoOn };

// Effect: one exchange with the agent. Handed in, so that a test can be the agent.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<http1::Response> Call(const std::string& socket_path,
                                       const http1::Request& request,
                                       std::chrono::milliseconds timeout, OnStop on_stop) = 0;
};

class UnixTransport : public Transport {
 public:
  // `stop_fd` is borrowed; a call ends with kCancelled when it becomes readable.
  explicit UnixTransport(int stop_fd) : stop_fd_(stop_fd) {}
  Result<http1::Response> Call(const std::string& socket_path, const http1::Request& request,
                               std::chrono::milliseconds timeout, OnStop on_stop) override;

 private:
  int stop_fd_;
};

}  // namespace ambit::cni
