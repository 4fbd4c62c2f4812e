#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/dns/listeners.h"

// Purpose  the listening sockets inside a pod's network namespace.
// Threads  any; nothing is kept.
namespace ambit::proxy {

inline constexpr uint16_t kOutboundPort = 15001;
inline constexpr uint16_t kInboundPlainPort = 15006;
inline constexpr uint16_t kInboundHbonePort = 15008;

// Ports that only the tunnel itself serves in a pod; a connection to one of them that did not come
// from redirection would loop.
bool IsTunnelPort(uint16_t port);

// What one worker accepts from for one pod. Accepted sockets inherit mark, TCP_NODELAY and
// keepalive from these.
struct Listeners {
  UniqueFd outbound;
  UniqueFd inbound_plain;
  UniqueFd inbound_hbone;
  dns::Listeners dns;  // in one set of a pod only: questions are few
  // Whether the kernel lets inbound connections keep the client's address towards the app.
  bool preserve_source_plain = false;
  bool preserve_source_hbone = false;
};

// How the sockets of the DNS proxy are made; `ipv6` is what the pod has.
dns::ListenOptions DnsListenOptions(const config::Config& config, bool ipv6);

// One set per worker, sharing the ports through SO_REUSEPORT; just one set where config.reuse_port
// is off. All or nothing.
// Errors  of setns and bind, with the port in the text; kPermissionDenied: config.preserve_source
//         demands what the kernel refuses.
Result<std::vector<Listeners>> BindListeners(const config::Config& config, int pod_netns,
                                             int workers);

// For the tunnel's own pod, in the thread's namespace: port 15008 alone, unmarked, since nothing is
// redirected there.
Result<Listeners> BindOwnListener(const config::Config& config);

}  // namespace ambit::proxy
