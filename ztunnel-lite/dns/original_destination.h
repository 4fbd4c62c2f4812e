#pragma once

#include <optional>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  where a UDP packet was going before REDIRECT. TCP sockets have SO_ORIGINAL_DST for that;
//          for UDP the kernel's connection tracking is asked, over netlink.
// Threads  one; the socket may be opened on any thread, in the pod's network namespace.
// Cost     one send and one receive, answered within the send: nothing is waited for. The kernel's
//          table is the cache of flows: a copy here would miss that a client uses its port again
//          for another server.
// Source   linux/netfilter/nfnetlink_conntrack.h; net/netfilter/nf_conntrack_netlink.c.
namespace ambit::dns {

class FlowTable {
 public:
  // Opens it for the network namespace the thread is in. Errors  kIo.
  static Result<FlowTable> Open();

  // `server` is the address the packet came to, `client` where it came from.
  // Errors  kNotFound: no such flow, or it was not redirected; kPermissionDenied: CAP_NET_ADMIN is
  //         missing; kProtocol; kIo.
  Result<net::Endpoint> OriginalDestination(const net::Endpoint& server,
                                            const net::Endpoint& client);

 private:
  explicit FlowTable(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
  uint32_t sequence_ = 0;
};

// The two messages, for FlowTable and its tests: what asks for the flow whose answers go from
// `server` to `client`, and where the kernel's answer says that it was going.
Bytes EncodeFlowRequest(const net::Endpoint& server, const net::Endpoint& client,
                        uint32_t sequence);
Result<net::Endpoint> DecodeFlow(ByteSpan message, uint32_t sequence);

}  // namespace ambit::dns
