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
  // Without duplicate address detection an interface may solicit its neighbours at once; with it,
  // not before its link-local address is settled, two seconds later.
  Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up");
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

void TestNetns::AddAddress(const std::string& address, const std::string& device) const {
  const bool v6 = address.contains(':');
  Shell("ip addr add " + address + " dev " + device + (v6 ? " nodad" : ""));
  if (v6) AwaitLocal(*this, address.substr(0, address.find('/')));
}

PodAndPeer::PodAndPeer() {
  peer.Shell("ip link add peer0 type veth peer name eth0 netns " + pod.path());
  peer.Shell("ip link set peer0 up");
  pod.Shell("ip link set eth0 up");
  peer.AddAddress("10.77.0.1/24", "peer0");
  peer.AddAddress("fd77::1/64", "peer0");
  pod.AddAddress("10.77.0.2/24", "eth0");
  pod.AddAddress("fd77::2/64", "eth0");
  pod.Shell("ip route add default via 10.77.0.1; ip -6 route add default via fd77::1");
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
