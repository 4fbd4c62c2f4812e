#include "node-agent/redirect/dump.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <memory>

namespace ambit::redirect {
namespace {

constexpr int kAttempts = 5;
constexpr uint32_t kSequence = 1;
constexpr size_t kRequestRoom = 4096;
constexpr size_t kAnswerBytes = size_t{64} * 1024;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

struct Answers {
  std::vector<Bytes> messages;
  bool done = false;
  bool interrupted = false;  // the list changed while it was read
};

Result<Socket> Open(int bus) {
  Socket opened(mnl_socket_open2(bus, SOCK_CLOEXEC));
  if (!opened) return FailErrno(errno, "open a netlink socket");
  if (mnl_socket_bind(opened.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return FailErrno(errno, "bind a netlink socket");
  }
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  setsockopt(mnl_socket_get_fd(opened.get()), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  return opened;
}

Result<void> TakeMessage(const nlmsghdr* header, Answers& answers) {
  if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) answers.interrupted = true;
  if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
    answers.done = true;
    int32_t error = 0;
    if (mnl_nlmsg_get_payload_len(header) >= sizeof(error)) {
      error = *static_cast<const int32_t*>(mnl_nlmsg_get_payload(header));
    }
    if (error == -EINTR || error == -EAGAIN) answers.interrupted = true;
    if (error < 0 && !answers.interrupted) return FailErrno(-error, "list netlink objects");
    return {};
  }
  const auto* first = reinterpret_cast<const std::byte*>(header);
  answers.messages.emplace_back(first, first + header->nlmsg_len);
  return {};
}

Result<Answers> DumpOnce(int bus, const nlmsghdr* request) {
  auto opened = Open(bus);
  if (!opened) return Fail(opened.error());
  if (mnl_socket_sendto(opened->get(), request, request->nlmsg_len) < 0) {
    return FailErrno(errno, "ask for a list of netlink objects");
  }
  Answers answers;
  std::vector<char> buffer(kAnswerBytes);
  while (!answers.done) {
    const ssize_t got = mnl_socket_recvfrom(opened->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return Fail(ErrorCode::kTimedOut, "no netlink answer in 5 s");
    if (got < 0) return FailErrno(errno, "receive a list of netlink objects");
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
         mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
      if (auto taken = TakeMessage(header, answers); !taken) return Fail(taken.error());
    }
  }
  return answers;
}

Result<std::vector<Bytes>> Dump(int bus, const nlmsghdr* request) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto answers = DumpOnce(bus, request);
    if (!answers) return Fail(answers.error());
    if (!answers->interrupted) return std::move(answers->messages);
  }
  return Fail(ErrorCode::kUnavailable, "the kernel's list kept changing while it was read");
}

}  // namespace

Result<std::vector<Bytes>> DumpNft(uint16_t type, const std::function<void(nlmsghdr*)>& fill) {
  alignas(nlmsghdr) std::array<char, kRequestRoom> buffer;
  nlmsghdr* request =
      nftnl_nlmsg_build_hdr(buffer.data(), type, NFPROTO_INET, NLM_F_DUMP, kSequence);
  if (fill) fill(request);
  return Dump(NETLINK_NETFILTER, request);
}

Result<std::vector<Bytes>> DumpRouting(uint16_t type, uint8_t family) {
  alignas(nlmsghdr) std::array<char, kRequestRoom> buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = kSequence;
  // As long as a fib_rule_hdr and with the family first too.
  static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)))->rtm_family = family;
  auto messages = Dump(NETLINK_ROUTE, request);
  if (!messages && (messages.error().sys_errno() == EAFNOSUPPORT ||
                    messages.error().sys_errno() == EOPNOTSUPP)) {
    return std::vector<Bytes>{};
  }
  return messages;
}

}  // namespace ambit::redirect
