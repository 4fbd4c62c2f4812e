#pragma once

#include <string>
#include <utility>

#include "lib/base/unique_fd.h"
#include "lib/net/netns.h"

// Purpose  network namespaces for tests: without names, so that they end with their last descriptor
//          and two tests cannot meet.
// Threads  a namespace may be entered by several threads; each call changes only its own thread.
// Failures end the process with a message: a test without the privilege must not pass.
namespace ambit::redirect {

class TestNetns {
 public:
  TestNetns();

  // Runs `work` on this thread inside the namespace. Sockets made there stay there.
  template <typename Work>
  auto In(Work work) const {
    const Guard guard(fd_.get());
    return work();
  }
  // Output of a shell command run inside, standard error included. Ends the process with it if the
  // command fails.
  std::string Shell(const std::string& command) const;
  // Gives `device` an address, as "10.0.0.1/24" or "fd00::1/64", and returns when packets to it are
  // delivered here.
  void AddAddress(const std::string& address, const std::string& device) const;
  // Path under which iproute2 finds the namespace, as long as this lives.
  std::string path() const;
  int fd() const { return fd_.get(); }

 private:
  class Guard {
   public:
    explicit Guard(int fd);

   private:
    Result<net::ScopedNetns> inside_;
  };

  UniqueFd fd_;
};

// A pod and a peer on one link: `eth0` of the pod and `peer0` of the peer, .2 and .1 of
// 10.77.0.0/24 and of fd77::/64. The peer is the pod's default route.
struct PodAndPeer {
  TestNetns pod;
  TestNetns peer;

  PodAndPeer();
};

// `text` against the file; with AMBIT_UPDATE_GOLDEN set, the file is written instead. Returns what
// is wrong, empty if nothing is.
std::string CompareWithGolden(const std::string& path, const std::string& text);

}  // namespace ambit::redirect
