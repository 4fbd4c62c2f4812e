#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

// Purpose  AF_UNIX SOCK_SEQPACKET sockets and file descriptors in their packets.
// Threads  any. Sockets are non-blocking; kUnavailable with EAGAIN means: wait, then call again.
// Source   unix(7), cmsg(3).
namespace ambit::net {

// A listening socket at `path` with mode 0600; a stale socket file there is replaced.
// Errors  kAlreadyExists: another process still listens there; kIo.
Result<UniqueFd> ListenSeqpacket(const std::string& path, int backlog = 16);
// Errors  kNotFound, kUnavailable (refused or full), kIo.
Result<UniqueFd> ConnectSeqpacket(const std::string& path);

// Sends one packet, with one descriptor attached if `fd` is not -1.
Result<void> SendPacket(int socket, ByteSpan bytes, int fd = -1);

struct Packet {
  Bytes bytes;                // empty: the peer closed the connection
  std::vector<UniqueFd> fds;  // all that came along, already owned
  bool truncated = false;     // data or descriptors were cut off; nothing of it may be trusted
};

// Receives one packet of at most `limit` bytes.
Result<Packet> ReceivePacket(int socket, size_t limit);

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
};

// Who connected, as the kernel says (SO_PEERCRED).
Result<PeerCredentials> ReadPeerCredentials(int socket);

}  // namespace ambit::net
