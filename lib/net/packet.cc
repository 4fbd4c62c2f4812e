#include "lib/net/packet.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ambit::net {
namespace {

// Room for more descriptors than any protocol of ours allows, so that a surplus is seen and closed.
constexpr size_t kMaxFds = 8;

Result<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalidArgument,
                "socket path \"" + path + "\" must have 1 to 107 characters");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> MakeSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FailErrno(errno, "create a unix socket");
  return fd;
}

// A socket file nobody listens on is left over from a killed process.
Result<void> RemoveStale(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return {};
  if (auto live = ConnectSeqpacket(path); live) {
    return Fail(ErrorCode::kAlreadyExists, "another process already listens on " + path);
  }
  if (unlink(path.c_str()) != 0) return FailErrno(errno, "remove the stale socket " + path);
  return {};
}

Error TryAgain(const char* what) { return Error(ErrorCode::kUnavailable, what, EAGAIN); }

void TakeFds(const msghdr& message, Packet& packet) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(&message), header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      packet.fds.emplace_back(fd);
    }
  }
}

}  // namespace

Result<UniqueFd> ListenSeqpacket(const std::string& path, int backlog) {
  auto address = UnixAddress(path);
  if (!address) return Fail(address.error());
  if (auto removed = RemoveStale(path); !removed) return Fail(removed.error());
  auto fd = MakeSocket();
  if (!fd) return fd;
  if (bind(fd->get(), reinterpret_cast<sockaddr*>(&*address), sizeof(*address)) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(fd->get(), backlog) != 0) {
    return FailErrno(errno, "listen on " + path);
  }
  return fd;
}

Result<UniqueFd> ConnectSeqpacket(const std::string& path) {
  auto address = UnixAddress(path);
  if (!address) return Fail(address.error());
  auto fd = MakeSocket();
  if (!fd) return fd;
  if (connect(fd->get(), reinterpret_cast<sockaddr*>(&*address), sizeof(*address)) == 0) return fd;
  if (errno == EAGAIN) return Fail(TryAgain("connect: the listener's queue is full"));
  return FailErrno(errno, "connect to " + path);
}

Result<void> SendPacket(int socket, ByteSpan bytes, int fd) {
  iovec data{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
  if (errno == EAGAIN) return Fail(TryAgain("send: the peer does not read"));
  return FailErrno(errno, "send a packet");
}

Result<Packet> ReceivePacket(int socket, size_t limit) {
  Packet packet;
  packet.bytes.resize(limit);
  iovec data{.iov_base = packet.bytes.data(), .iov_len = packet.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control;
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (size < 0) {
    if (errno == EAGAIN) return Fail(TryAgain("receive: nothing there"));
    return FailErrno(errno, "receive a packet");
  }
  packet.bytes.resize(static_cast<size_t>(size));
  packet.truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  TakeFds(message, packet);
  return packet;
}

Result<PeerCredentials> ReadPeerCredentials(int socket) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return FailErrno(errno, "read SO_PEERCRED");
  }
  return PeerCredentials{credentials.pid, credentials.uid};
}

}  // namespace ambit::net
