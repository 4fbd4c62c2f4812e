#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <system_error>

#include "lib/base/unique_fd.h"
#include "lib/netlink/channel.h"
#include "lib/netlink/program.h"

namespace ambit::netlink {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kAnswerDeadline{5};
// Each acknowledgement is an skb of its own, so that a few hundred outgrow the default buffer.
constexpr int kReceiveBuffer = 4 * 1024 * 1024;
constexpr size_t kAnswerBytes = size_t{32} * 1024;

// One NLMSG_ERROR, which is also the form of an acknowledgement.
struct Answer {
  uint32_t sequence = 0;
  int error = 0;
  std::string_view explanation;  // the kernel's text, valid as long as the receive buffer
};

size_t Aligned(size_t length) { return (length + NLMSG_ALIGNTO - 1) & ~size_t{NLMSG_ALIGNTO - 1}; }

void SetBuffer(int fd, int forced, int plain, int bytes) {
  // The forced form is not limited by net.core.*mem_max but wants CAP_NET_ADMIN outside of user
  // namespaces; the plain one is the best that is left.
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) == 0) return;
  setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

Result<UniqueFd> OpenSocket(int family) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family));
  if (!fd.valid()) {
    return FailErrno(errno,
                     family == NETLINK_NETFILTER
                         ? "open a netfilter netlink socket (does the kernel have nf_tables?)"
                         : "open a route netlink socket");
  }
  SetBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, kReceiveBuffer);
  // Both only make answers better: text in refusals, and no echo of the request.
  const int on = 1;
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return FailErrno(errno, "bind a netlink socket");
  }
  return fd;
}

// All messages back to back, message i with sequence number i + 1.
Bytes Concatenate(const Transaction& transaction) {
  Bytes stream;
  uint32_t sequence = 0;
  for (const Message& message : transaction.messages) {
    const size_t start = stream.size();
    stream.insert(stream.end(), message.bytes.begin(), message.bytes.end());
    nlmsghdr header;
    std::memcpy(&header, message.bytes.data(), sizeof(header));
    header.nlmsg_seq = ++sequence;
    header.nlmsg_pid = 0;
    header.nlmsg_flags = static_cast<uint16_t>(
        message.acknowledged ? header.nlmsg_flags | NLM_F_ACK : header.nlmsg_flags & ~NLM_F_ACK);
    std::memcpy(stream.data() + start, &header, sizeof(header));
    stream.resize(Aligned(stream.size()));
  }
  return stream;
}

Result<void> Send(int fd, const Bytes& stream) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = sendto(fd, stream.data(), stream.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
                  sizeof(kernel));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return FailErrno(errno, "send netlink messages");
  return {};
}

// False when the deadline passed.
Result<bool> WaitReadable(int fd, std::chrono::seconds limit) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&waiting, 1, std::max<int>(0, static_cast<int>(left.count())));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return FailErrno(errno, "wait for a netlink answer");
  }
}

// One datagram from the kernel; the size is 0 for one that came from somewhere else.
Result<size_t> Receive(int fd, std::span<std::byte> buffer) {
  sockaddr_nl sender{};
  socklen_t sender_length = sizeof(sender);
  const ssize_t got = recvfrom(fd, buffer.data(), buffer.size(), 0,
                               reinterpret_cast<sockaddr*>(&sender), &sender_length);
  if (got < 0 && errno == EINTR) return 0;
  if (got < 0) return FailErrno(errno, "receive a netlink answer");
  return sender.nl_pid == 0 ? static_cast<size_t>(got) : 0;
}

// The text of an extended acknowledgement, which follows as attributes.
std::string_view Explanation(ByteSpan attributes) {
  while (attributes.size() >= sizeof(nlattr)) {
    nlattr attribute;
    std::memcpy(&attribute, attributes.data(), sizeof(attribute));
    if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > attributes.size()) return {};
    if ((attribute.nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG) {
      auto text =
          AsText(attributes.subspan(sizeof(attribute), attribute.nla_len - sizeof(attribute)));
      return text.substr(0, text.find('\0'));
    }
    attributes = attributes.subspan(std::min(Aligned(attribute.nla_len), attributes.size()));
  }
  return {};
}

// Takes the first message off `datagram`; nullopt when it is no answer.
std::optional<Answer> TakeAnswer(ByteSpan& datagram) {
  nlmsghdr header;
  std::memcpy(&header, datagram.data(), sizeof(header));
  if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > datagram.size()) {
    datagram = {};
    return std::nullopt;
  }
  const ByteSpan payload = datagram.subspan(sizeof(header), header.nlmsg_len - sizeof(header));
  datagram = datagram.subspan(std::min(Aligned(header.nlmsg_len), datagram.size()));
  nlmsgerr error;
  if (header.nlmsg_type != NLMSG_ERROR || payload.size() < sizeof(error)) return std::nullopt;
  std::memcpy(&error, payload.data(), sizeof(error));
  Answer answer{.sequence = header.nlmsg_seq, .error = -error.error, .explanation = {}};
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    size_t skip = sizeof(error);
    if ((header.nlmsg_flags & NLM_F_CAPPED) == 0 && error.msg.nlmsg_len >= sizeof(nlmsghdr)) {
      skip += Aligned(error.msg.nlmsg_len - sizeof(nlmsghdr));
    }
    if (skip <= payload.size()) answer.explanation = Explanation(payload.subspan(skip));
  }
  return answer;
}

std::unexpected<Error> Refusal(const Message& message, const Answer& answer) {
  std::string text = "the kernel refused \"" + message.name +
                     "\": " + std::generic_category().message(answer.error);
  if (!answer.explanation.empty()) text.append(" (").append(answer.explanation).append(")");
  if (answer.error == EPERM) {
    text.append("; CAP_NET_ADMIN over the network namespace is needed");
    return Fail(Error(ErrorCode::kPermissionDenied, std::move(text), answer.error));
  }
  if (answer.error == EOPNOTSUPP || answer.error == EAFNOSUPPORT || answer.error == ENOENT) {
    text.append("; what it names is not there, or the kernel lacks a module for it");
  }
  return Fail(Error(ErrorCode::kIo, std::move(text), answer.error));
}

// Which messages of one transaction still wait for their answer.
class Expectations {
 public:
  explicit Expectations(const Transaction& transaction)
      : transaction_(transaction), waiting_(transaction.messages.size()) {
    for (size_t i = 0; i < waiting_.size(); ++i) waiting_[i] = transaction.messages[i].acknowledged;
  }

  bool done() const { return std::ranges::find(waiting_, true) == waiting_.end(); }

  Result<void> Take(const Answer& answer) {
    if (answer.sequence == 0 || answer.sequence > waiting_.size()) return {};
    const Message& message = transaction_.messages[answer.sequence - 1];
    waiting_[answer.sequence - 1] = false;
    if (answer.error == 0) return {};
    if (std::ranges::count(message.tolerated, answer.error) > 0) return {};
    return Refusal(message, answer);
  }

  std::string FirstMissing() const {
    const auto found = std::ranges::find(waiting_, true);
    return found == waiting_.end() ? std::string()
                                   : transaction_.messages[found - waiting_.begin()].name;
  }

 private:
  const Transaction& transaction_;
  std::vector<bool> waiting_;
};

Result<void> Await(int fd, const Transaction& transaction) {
  Expectations expected(transaction);
  std::array<std::byte, kAnswerBytes> buffer;
  for (;;) {
    // The kernel answers before send returns. So what is not there when all is acknowledged does
    // not exist; until then one look more finds the refusal of a message that is not acknowledged.
    const bool done = expected.done();
    auto readable = WaitReadable(fd, done ? std::chrono::seconds(0) : kAnswerDeadline);
    if (!readable) return Fail(readable.error());
    if (!*readable && done) return {};
    if (!*readable) {
      return Fail(ErrorCode::kTimedOut,
                  "the kernel did not answer \"" + expected.FirstMissing() + "\" within 5 s");
    }
    auto got = Receive(fd, buffer);
    if (!got) return Fail(got.error());
    ByteSpan datagram(buffer.data(), *got);
    while (datagram.size() >= sizeof(nlmsghdr)) {
      const auto answer = TakeAnswer(datagram);
      if (!answer) continue;
      if (auto taken = expected.Take(*answer); !taken) return taken;
    }
  }
}

Result<void> RunOn(int fd, const Transaction& transaction) {
  const Bytes stream = Concatenate(transaction);
  SetBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, static_cast<int>(stream.size() + 4096));
  if (auto sent = Send(fd, stream); !sent) return sent;
  return Await(fd, transaction);
}

}  // namespace

Result<void> Run(const Program& program) {
  if (auto checked = Check(program); !checked) return checked;
  for (const Transaction& transaction : program.transactions) {
    if (transaction.messages.empty()) continue;
    auto fd = OpenSocket(transaction.family);
    if (!fd) return Fail(fd.error());
    if (auto done = RunOn(fd->get(), transaction); !done) return done;
  }
  return {};
}

Result<void> Channel::Run(const Transaction& transaction) {
  if (auto checked = Check({{transaction}}); !checked) return checked;
  if (transaction.messages.empty()) return {};
  if (!socket_.valid() || family_ != transaction.family) {
    auto fd = OpenSocket(transaction.family);
    if (!fd) return Fail(fd.error());
    socket_ = std::move(*fd);
    family_ = transaction.family;
  }
  auto done = RunOn(socket_.get(), transaction);
  // What the kernel may still answer belongs to no later transaction.
  if (!done) socket_.Reset();
  return done;
}

}  // namespace ambit::netlink
