#include "ztunnel-lite/dns/original_destination.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ambit::dns {
namespace {

constexpr uint16_t kGetFlow = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
constexpr uint16_t kNewFlow = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
constexpr size_t kBodyOffset = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));

template <typename T>
void Append(Bytes& out, const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof(value));
}

// An attribute whose length is known once its scope ends.
class Attribute {
 public:
  Attribute(Bytes& out, uint16_t type) : out_(out), start_(out.size()) {
    Append(out_, nlattr{.nla_len = 0, .nla_type = type});
  }
  Attribute(const Attribute&) = delete;
  Attribute& operator=(const Attribute&) = delete;
  ~Attribute() {
    const auto length = static_cast<uint16_t>(out_.size() - start_);
    std::memcpy(out_.data() + start_, &length, sizeof(length));
    out_.resize(NLMSG_ALIGN(out_.size()));
  }

 private:
  Bytes& out_;
  size_t start_;
};

constexpr uint16_t Nested(uint16_t type) { return type | NLA_F_NESTED; }

void AppendAddress(Bytes& out, uint16_t type, const net::IpAddress& address) {
  Attribute attribute(out, type);
  const ByteSpan bytes = address.bytes();
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void AppendPort(Bytes& out, uint16_t type, uint16_t port) {
  Attribute attribute(out, type);
  Append(out, htons(port));
}

void AppendTuple(Bytes& out, const net::Endpoint& from, const net::Endpoint& to) {
  const bool v4 = from.address.is_v4();
  Attribute tuple(out, Nested(CTA_TUPLE_REPLY));
  {
    Attribute ip(out, Nested(CTA_TUPLE_IP));
    AppendAddress(out, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, from.address);
    AppendAddress(out, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, to.address);
  }
  Attribute protocol(out, Nested(CTA_TUPLE_PROTO));
  {
    Attribute number(out, CTA_PROTO_NUM);
    Append(out, uint8_t{IPPROTO_UDP});
  }
  AppendPort(out, CTA_PROTO_SRC_PORT, from.port);
  AppendPort(out, CTA_PROTO_DST_PORT, to.port);
}

template <typename T>
std::optional<T> ReadAt(ByteSpan bytes, size_t offset) {
  if (bytes.size() < offset + sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// The content of the first attribute of that type among `attributes`; empty if there is none.
ByteSpan FindAttribute(ByteSpan attributes, uint16_t type) {
  while (auto header = ReadAt<nlattr>(attributes, 0)) {
    if (header->nla_len < NLA_HDRLEN || header->nla_len > attributes.size()) return {};
    if ((header->nla_type & NLA_TYPE_MASK) == type) {
      return attributes.first(header->nla_len).subspan(NLA_HDRLEN);
    }
    attributes =
        attributes.subspan(std::min<size_t>(NLA_ALIGN(header->nla_len), attributes.size()));
  }
  return {};
}

Result<net::Endpoint> DecodeDestination(ByteSpan attributes) {
  const ByteSpan tuple = FindAttribute(attributes, CTA_TUPLE_ORIG);
  const ByteSpan ip = FindAttribute(tuple, CTA_TUPLE_IP);
  ByteSpan address = FindAttribute(ip, CTA_IP_V4_DST);
  if (address.empty()) address = FindAttribute(ip, CTA_IP_V6_DST);
  auto parsed = net::IpAddress::FromBytes(address);
  auto port =
      ReadAt<uint16_t>(FindAttribute(FindAttribute(tuple, CTA_TUPLE_PROTO), CTA_PROTO_DST_PORT), 0);
  if (!parsed || !port) {
    return Fail(ErrorCode::kProtocol, "the kernel's answer has no destination of the flow");
  }
  return net::Endpoint{*parsed, ntohs(*port)};
}

}  // namespace

Bytes EncodeFlowRequest(const net::Endpoint& server, const net::Endpoint& client,
                        uint32_t sequence) {
  Bytes message;
  message.reserve(128);
  Append(message, nlmsghdr{.nlmsg_len = 0,
                           .nlmsg_type = kGetFlow,
                           .nlmsg_flags = NLM_F_REQUEST,
                           .nlmsg_seq = sequence,
                           .nlmsg_pid = 0});
  const auto family = static_cast<uint8_t>(server.address.is_v4() ? AF_INET : AF_INET6);
  Append(message, nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
  AppendTuple(message, server, client);
  const auto length = static_cast<uint32_t>(message.size());
  std::memcpy(message.data(), &length, sizeof(length));
  return message;
}

Result<net::Endpoint> DecodeFlow(ByteSpan message, uint32_t sequence) {
  const auto header = ReadAt<nlmsghdr>(message, 0);
  if (!header || header->nlmsg_len > message.size() || header->nlmsg_seq != sequence) {
    return Fail(ErrorCode::kProtocol, "the kernel's answer does not belong to the question");
  }
  message = message.first(header->nlmsg_len);
  if (header->nlmsg_type == NLMSG_ERROR) {
    const auto error = ReadAt<int32_t>(message, NLMSG_HDRLEN);
    return FailErrno(error ? -*error : EPROTO, "ask the kernel for a flow");
  }
  if (header->nlmsg_type != kNewFlow || message.size() < kBodyOffset) {
    return Fail(ErrorCode::kProtocol, "the kernel answers with something else than a flow");
  }
  return DecodeDestination(message.subspan(kBodyOffset));
}

Result<FlowTable> FlowTable::Open() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!fd.valid()) return FailErrno(errno, "open a netlink socket for the pod's flows");
  return FlowTable(std::move(fd));
}

Result<net::Endpoint> FlowTable::OriginalDestination(const net::Endpoint& server,
                                                     const net::Endpoint& client) {
  const Bytes request = EncodeFlowRequest(server, client, ++sequence_);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (sendto(socket_.get(), request.data(), request.size(), 0,
             reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel)) < 0) {
    return FailErrno(errno, "ask the kernel for a flow");
  }
  std::array<std::byte, 4096> buffer;
  while (true) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return FailErrno(errno, "ask the kernel for a flow");
    const auto message = ByteSpan(buffer).first(static_cast<size_t>(got));
    // What is left of a question that was given up.
    const auto header = ReadAt<nlmsghdr>(message, 0);
    if (header && header->nlmsg_seq != sequence_) continue;
    auto destination = DecodeFlow(message, sequence_);
    if (destination && *destination == server) {
      return Fail(ErrorCode::kNotFound, "the flow was not redirected");
    }
    return destination;
  }
}

}  // namespace ambit::dns
