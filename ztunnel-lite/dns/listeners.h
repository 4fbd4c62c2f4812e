#pragma once

#include <optional>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  the sockets on which a pod's questions arrive. On the loopback addresses only: that is
//          where REDIRECT sends what leaves the pod, an answer from elsewhere would belong to no
//          connection the kernel knows, and nobody else may use the pod's proxy.
// Threads  any; sockets are made in the network namespace the thread is in.
namespace ambit::dns {

inline constexpr uint16_t kPort = 15053;

struct ListenOptions {
  std::optional<net::IpAddress> address{};  // none: the loopback address of each family
  uint16_t port = kPort;
  bool ipv6 = true;
  bool reuse_port = true;
  uint32_t mark = 0;
};

struct Listeners {
  std::vector<UniqueFd> udp;
  std::vector<UniqueFd> tcp;
};

// All or nothing. Errors  of bind, with the endpoint in the text.
Result<Listeners> BindListeners(const ListenOptions& options);
Result<UniqueFd> BindUdp(const net::Endpoint& endpoint, const ListenOptions& options);

}  // namespace ambit::dns
