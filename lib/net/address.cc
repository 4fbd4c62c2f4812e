#include "lib/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ambit::net {
namespace {

constexpr std::array<unsigned char, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::unexpected<Error> BadText(std::string_view text, std::string_view wanted) {
  std::string message = "\"";
  message.append(text).append("\" is not ").append(wanted);
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

template <typename Number>
bool ParseNumber(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<IpAddress> IpAddress::Parse(std::string_view text) {
  std::string copy(text);
  std::array<std::byte, 16> raw;
  // inet_pton stops at a NUL byte; one inside the text would hide what follows it.
  if (copy.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET, copy.c_str(), raw.data()) == 1) return FromBytes({raw.data(), 4});
    if (inet_pton(AF_INET6, copy.c_str(), raw.data()) == 1) return FromBytes({raw.data(), 16});
  }
  return BadText(text, "an IP address");
}

Result<IpAddress> IpAddress::FromBytes(ByteSpan bytes) {
  IpAddress address;
  if (bytes.size() == 16 && std::memcmp(bytes.data(), kMappedPrefix.data(), 12) == 0) {
    bytes = bytes.subspan(12);
  }
  if (bytes.size() != 4 && bytes.size() != 16) {
    return Fail(ErrorCode::kInvalidArgument,
                "an IP address has 4 or 16 bytes, not " + std::to_string(bytes.size()));
  }
  address.family_ = bytes.size() == 4 ? Family::kIpv4 : Family::kIpv6;
  std::ranges::copy(bytes, address.bytes_.begin());
  return address;
}

IpAddress IpAddress::Loopback(Family family) {
  IpAddress address = Any(family);
  if (family == Family::kIpv4) address.bytes_[0] = std::byte{127};
  address.bytes_[family == Family::kIpv4 ? 3 : 15] = std::byte{1};
  return address;
}

IpAddress IpAddress::Any(Family family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

bool IpAddress::IsLoopback() const {
  return is_v4() ? bytes_[0] == std::byte{127} : *this == Loopback(Family::kIpv6);
}

bool IpAddress::IsUnspecified() const { return *this == Any(family_); }

std::string IpAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> text;
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

Result<Endpoint> Endpoint::Parse(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return BadText(text, "an address with a port");
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  Endpoint endpoint;
  auto address = IpAddress::Parse(host);
  bool v6_text = host.find(':') != std::string_view::npos;
  if (!address || bracketed != v6_text || !ParseNumber(text.substr(colon + 1), endpoint.port)) {
    return BadText(text, "an address with a port");
  }
  endpoint.address = *address;
  return endpoint;
}

std::string Endpoint::ToString() const {
  std::string host = address.ToString();
  if (!address.is_v4()) host = "[" + host + "]";
  return host + ":" + std::to_string(port);
}

Result<Cidr> Cidr::Parse(std::string_view text) {
  size_t slash = text.find('/');
  auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return BadText(text, "an address prefix");
  unsigned length = static_cast<unsigned>(address->bytes().size() * 8);
  if (slash != std::string_view::npos && !ParseNumber(text.substr(slash + 1), length)) {
    return BadText(text, "an address prefix");
  }
  return Make(*address, length);
}

Result<Cidr> Cidr::Make(const IpAddress& address, unsigned length) {
  if (length > address.bytes().size() * 8) {
    return Fail(ErrorCode::kInvalidArgument, "prefix length " + std::to_string(length) +
                                                 " is too long for " + address.ToString());
  }
  Bytes raw(address.bytes().begin(), address.bytes().end());
  for (size_t i = 0; i < raw.size(); ++i) {
    unsigned kept =
        length > i * 8 ? std::min<unsigned>(8, length - static_cast<unsigned>(i) * 8) : 0;
    raw[i] &= static_cast<std::byte>(0xff00 >> kept);
  }
  Cidr cidr;
  // A cleared v6 base may look IPv4-mapped only if the address itself was; that one is IPv4
  // already.
  cidr.base_ = IpAddress::FromBytes(raw).value();
  cidr.length_ = length;
  return cidr;
}

bool Cidr::Contains(const IpAddress& address) const {
  if (address.family() != base_.family()) return false;
  auto prefix = Make(address, length_);
  return prefix && prefix->base_ == base_;
}

std::string Cidr::ToString() const { return base_.ToString() + "/" + std::to_string(length_); }

SocketAddress ToSocketAddress(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&out.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(endpoint.port);
    std::memcpy(&in->sin_addr, endpoint.address.bytes().data(), 4);
    out.length = sizeof(sockaddr_in);
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(endpoint.port);
    std::memcpy(&in6->sin6_addr, endpoint.address.bytes().data(), 16);
    out.length = sizeof(sockaddr_in6);
  }
  return out;
}

Result<Endpoint> FromSocketAddress(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    ByteSpan raw(reinterpret_cast<const std::byte*>(&in->sin_addr), 4);
    return Endpoint{IpAddress::FromBytes(raw).value(), ntohs(in->sin_port)};
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    ByteSpan raw(reinterpret_cast<const std::byte*>(&in6->sin6_addr), 16);
    return Endpoint{IpAddress::FromBytes(raw).value(), ntohs(in6->sin6_port)};
  }
  return Fail(ErrorCode::kInvalidArgument, "socket address is neither IPv4 nor IPv6");
}

}  // namespace ambit::net

size_t std::hash<ambit::net::IpAddress>::operator()(
    const ambit::net::IpAddress& address) const noexcept {
  return std::hash<std::string_view>()(ambit::AsText(address.bytes()));
}

size_t std::hash<ambit::net::Endpoint>::operator()(
    const ambit::net::Endpoint& endpoint) const noexcept {
  return std::hash<ambit::net::IpAddress>()(endpoint.address) * 31 + endpoint.port;
}
