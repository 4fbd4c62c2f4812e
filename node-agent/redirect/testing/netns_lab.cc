#include "node-agent/redirect/testing/netns_lab.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace ambit::redirect {
namespace {

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "test network: %s\n", why.c_str());
  std::abort();
}

// The kernel makes a new IPv6 address a local one in a work queue, some time after `ip` has
// returned. Packets to it from inside leave the namespace until then, and are lost.
void AwaitLocal(const TestNetns& where, const std::string& address) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const std::string wanted = "local " + address + " ";
  while (where.Shell("ip -6 route show table local").find(wanted) == std::string::npos) {
    if (std::chrono::steady_clock::now() > end) Die(address + " does not become local");
  }
}

}  // namespace

TestNetns::TestNetns() {
  std::thread([this] {
    if (unshare(CLONE_NEWNET) != 0) Die("unshare failed: run as root");
    auto own = net::OpenOwnNetns();
    if (!own) Die(own.error().message());
    fd_ = std::move(*own);
  }).join();
  Shell("ip link set lo up");
}

TestNetns::Guard::Guard(int fd) : inside_(net::ScopedNetns::Enter(fd)) {
  if (!inside_) Die(inside_.error().message());
}

std::string TestNetns::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_.get());
}

std::string TestNetns::Shell(const std::string& command) const {
  return In([&command] {
    FILE* pipe = popen(("{ " + command + "\n} 2>&1").c_str(), "re");
    if (pipe == nullptr) Die("popen failed");
    std::string output;
    std::array<char, 4096> buffer;
    while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) {
      output.append(buffer.data(), got);
    }
    const int status = pclose(pipe);
    if (status != 0) Die(command + " failed: " + output);
    return output;
  });
}

PodAndPeer::PodAndPeer() {
  peer.Shell("ip link add peer0 type veth peer name eth0 netns " + pod.path());
  peer.Shell(
      "ip addr add 10.77.0.1/24 dev peer0; ip addr add fd77::1/64 dev peer0 nodad;"
      "ip link set peer0 up");
  pod.Shell(
      "ip addr add 10.77.0.2/24 dev eth0; ip addr add fd77::2/64 dev eth0 nodad;"
      "ip link set eth0 up; ip route add default via 10.77.0.1;"
      "ip -6 route add default via fd77::1");
  AwaitLocal(peer, "fd77::1");
  AwaitLocal(pod, "fd77::2");
}

std::string CompareWithGolden(const std::string& path, const std::string& text) {
  if (std::getenv("AMBIT_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path) << text;
    return {};
  }
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  if (golden.str() == text) return {};
  return path + " differs (AMBIT_UPDATE_GOLDEN=1 writes it anew); expected:\n" + golden.str() +
         "\ngot:\n" + text;
}

}  // namespace ambit::redirect
