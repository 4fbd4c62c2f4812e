#pragma once

#include <chrono>
#include <cstdint>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"

// Purpose  TCP sockets with the options a transparent proxy needs, as single system calls.
// Threads  any. All sockets are non-blocking and close-on-exec.
// Source   socket(7), tcp(7), ip(7); SO_ORIGINAL_DST: linux/netfilter_ipv4.h.
namespace ambit::net {

struct ListenOptions {
  bool reuse_port = false;  // SO_REUSEPORT: two processes may share the port during an upgrade
  bool dual_stack = true;   // for an IPv6 address: accept IPv4 too (IPV6_V6ONLY off)
  uint32_t mark = 0;        // SO_MARK before bind; inherited by accepted sockets; 0 sets none
  int backlog = 128;
};

// Errors  kIo with EADDRINUSE and the endpoint in the text; kPermissionDenied for the mark.
Result<UniqueFd> ListenTcp(const Endpoint& endpoint, const ListenOptions& options);

// A socket of the endpoint's family that is not connected yet.
Result<UniqueFd> MakeTcpSocket(Family family);
// Starts a connect. Success also while it is in progress; then writability and SocketError() tell.
Result<void> StartConnect(int fd, const Endpoint& endpoint);
// SO_ERROR as a Result: the outcome of a connect, or the error a socket died of.
Result<void> SocketError(int fd);

Result<void> SetMark(int fd, uint32_t mark);
Result<void> SetNoDelay(int fd);
struct KeepaliveOptions {
  std::chrono::seconds idle{180};
  std::chrono::seconds interval{180};
  int probes = 9;
};
Result<void> SetKeepalive(int fd, const KeepaliveOptions& options);
Result<void> SetUserTimeout(int fd, std::chrono::milliseconds timeout);
// IP_TRANSPARENT or IPV6_TRANSPARENT; a dual-stack IPv6 socket gets both.
Result<void> SetTransparent(int fd);
// Binds to `source` with port 0 although the address is not this host's (TRANSPARENT, FREEBIND).
Result<void> BindForeignSource(int fd, const IpAddress& source);
// close() then sends RST instead of FIN.
Result<void> SetResetOnClose(int fd);

Result<Endpoint> PeerEndpoint(int fd);
Result<Endpoint> LocalEndpoint(int fd);
// Where the client wanted to go before REDIRECT; the local endpoint when nothing was redirected.
Result<Endpoint> OriginalDestination(int fd);

}  // namespace ambit::net
