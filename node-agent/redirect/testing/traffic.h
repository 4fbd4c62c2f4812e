#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "node-agent/redirect/testing/netns_lab.h"

// Purpose  real TCP and UDP sockets in test namespaces, and the answer to "who got it?".
// Threads  the test's own. Every wait ends after 5 s.
namespace ambit::redirect {

struct ClientOptions {
  uint32_t mark = 0;
  bool spoof = false;       // bind to `source` although it is not an address of the namespace
  net::IpAddress source{};  // unspecified: the kernel chooses
};

struct Arrival {
  std::string listener;  // "nobody" after 5 s without a connect
  net::Endpoint peer;
  net::Endpoint original_destination;
  UniqueFd fd;
};

// TCP listeners of any number of namespaces, each for IPv4 and IPv6.
class Listeners {
 public:
  void Add(const TestNetns& where, const std::string& name, uint16_t port);
  Arrival Next(std::chrono::milliseconds limit = std::chrono::seconds(5)) const;

 private:
  std::vector<std::string> names_;
  std::vector<UniqueFd> fds_;
};

// A TCP socket whose connect has been started.
UniqueFd Connect(const TestNetns& where, const net::Endpoint& target,
                 const ClientOptions& options = {});

UniqueFd BindUdp(const TestNetns& where, const net::Endpoint& local);
// A UDP socket connected to `target`, so that it takes answers only from there.
UniqueFd ConnectUdp(const TestNetns& where, const net::Endpoint& target, uint32_t mark = 0);

void Write(const UniqueFd& fd, const std::string& text);
// What comes next, "" after the limit or at the end.
std::string Read(const UniqueFd& fd, std::chrono::milliseconds limit = std::chrono::seconds(5));
// Reads a datagram and sends "re: " and its text back; returns the text.
std::string Answer(const UniqueFd& fd);
bool Readable(const UniqueFd& fd, std::chrono::milliseconds limit);

}  // namespace ambit::redirect
