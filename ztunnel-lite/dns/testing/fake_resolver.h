#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  a resolver whose every answer is the test's own bytes.
// Threads  one of its own answers; all calls are safe from the test's.
namespace ambit::dns::testing {

struct Received {
  Bytes message;
  net::Endpoint from;
  net::Endpoint at;  // which of the resolver's addresses was asked
  bool tcp = false;
};

class FakeResolver {
 public:
  // What goes back for a question, message by message.
  using Script = std::function<std::vector<Bytes>(const Received& question)>;
  // Listens on UDP and TCP of each endpoint in the calling thread's network namespace.
  FakeResolver(const std::vector<net::Endpoint>& endpoints, Script script);
  ~FakeResolver();
  FakeResolver(const FakeResolver&) = delete;
  FakeResolver& operator=(const FakeResolver&) = delete;

  std::vector<Received> received() const;

 private:
  struct Socket {
    UniqueFd fd;
    net::Endpoint at;
    bool tcp = false;
  };
  void Run();
  void ServeDatagram(const Socket& socket);
  void ServeConnection(const Socket& socket);
  std::vector<Bytes> Answer(Received question);

  Script script_;
  std::vector<Socket> sockets_;
  UniqueFd stop_;
  mutable std::mutex mutex_;
  std::vector<Received> received_;
  std::thread thread_;
};

// The question with the answer bit and recursion set and `records` (hexadecimal) behind it, whose
// number is `answers`.
Bytes AnswerTo(const Bytes& question, const std::string& records = "", uint16_t answers = 0);

}  // namespace ambit::dns::testing
