#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  apps inside pods, driven step by step by a test.
// Threads  one; every wait ends after 30 s.
namespace ambit::proxy::testing {

// A TCP connection with blocking calls.
class AppSocket {
 public:
  AppSocket() = default;
  explicit AppSocket(UniqueFd fd);

  bool Send(std::string_view text);
  // What comes next, at most `limit` bytes; "" for the end, "<reset>" or "<timeout>". A reset that
  // came before is seen here too.
  std::string Receive(size_t limit = 65536);
  // Exactly that many bytes, or what came before the end.
  std::string ReceiveAll(size_t bytes);
  void EndSending();
  // Closes with RST.
  void Reset();
  void Close() { fd_.Reset(); }
  int get() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }

 private:
  UniqueFd fd_;
  bool was_reset_ = false;
};

// Whether anybody listens on the TCP port in that namespace, as the kernel lists it; asking by
// connecting would change what is asked about.
bool ListensOn(const UniqueFd& netns, uint16_t port);

// Connects from inside a pod; not valid if refused or reset at once.
AppSocket ConnectFrom(const UniqueFd& netns, const net::Endpoint& to);

class AppListener {
 public:
  AppListener(const UniqueFd& netns, const net::Endpoint& at);
  struct Accepted {
    AppSocket socket;
    net::Endpoint peer;
  };
  // Not valid if nobody came.
  Accepted Accept();
  const UniqueFd& fd() const { return fd_; }
  // Within `time`; for showing that nobody comes.
  bool HasConnection(std::chrono::milliseconds time);

 private:
  UniqueFd fd_;
};

// Sends back what it gets, for any number of connections, on a thread of its own.
class EchoApp {
 public:
  EchoApp(const UniqueFd& netns, const net::Endpoint& at);
  ~EchoApp();

 private:
  void Run(std::stop_token stop);
  UniqueFd listener_;
  UniqueFd wake_;
  std::jthread thread_;
};

// `count` connections open at once; each sends `bytes` bytes of its own and checks that they come
// back. Returns how many did.
int RunClients(const UniqueFd& netns, const net::Endpoint& to, int count, size_t bytes);

}  // namespace ambit::proxy::testing
