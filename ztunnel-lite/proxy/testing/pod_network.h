#pragma once

#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  a switch and pods on it, as network namespaces without names: they end with the object.
// Threads  one; calls block.
namespace ambit::proxy::testing {

class PodNetwork {
 public:
  PodNetwork();

  struct Pod {
    UniqueFd netns;
    net::IpAddress ipv4;
    net::IpAddress ipv6;
  };
  enum class Capture { kYes, kNo };
  // 10.9.0.<number> and fd09::<number> on eth0, with or without the redirection to the tunnel.
  Pod AddPod(int number, Capture capture);
  // From now on what pods send to this address is lost.
  void BlackHole(const Pod& pod, const net::IpAddress& address);

 private:
  UniqueFd fabric_;
};

}  // namespace ambit::proxy::testing
