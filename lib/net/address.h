#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

// Purpose  IP addresses, endpoints and prefixes as small comparable values.
// Threads  values.
// An IPv4-mapped IPv6 address (::ffff:a.b.c.d) becomes IPv4 wherever an address is made, so that it
// can be looked up and compared only in one form. Ports are in host order.
namespace ambit::net {

enum class Family : uint8_t { kIpv4, kIpv6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // Text form of either family, no zone, no brackets. Errors  kInvalidArgument.
  static Result<IpAddress> Parse(std::string_view text);
  // 4 or 16 bytes in network order. Errors  kInvalidArgument: any other length.
  static Result<IpAddress> FromBytes(ByteSpan bytes);
  static IpAddress Loopback(Family family);
  static IpAddress Any(Family family);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kIpv4; }
  bool IsLoopback() const;     // 127.0.0.0/8 or ::1
  bool IsUnspecified() const;  // 0.0.0.0 or ::
  // Network order, 4 or 16 bytes; valid as long as the address.
  ByteSpan bytes() const { return {bytes_.data(), is_v4() ? size_t{4} : size_t{16}}; }
  // RFC 5952 for IPv6.
  std::string ToString() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  Family family_ = Family::kIpv4;
  std::array<std::byte, 16> bytes_{};
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  // "a.b.c.d:port" or "[v6]:port". Errors  kInvalidArgument.
  static Result<Endpoint> Parse(std::string_view text);
  std::string ToString() const;
  auto operator<=>(const Endpoint&) const = default;
};

// An address prefix; host bits below the length are cleared.
class Cidr {
 public:
  Cidr() = default;  // 0.0.0.0/0

  // "address/length"; a bare address is a prefix of full length. Errors  kInvalidArgument.
  static Result<Cidr> Parse(std::string_view text);
  // Errors  kInvalidArgument: length above 32 or 128.
  static Result<Cidr> Make(const IpAddress& address, unsigned length);

  // Never true across families.
  bool Contains(const IpAddress& address) const;
  const IpAddress& base() const { return base_; }
  unsigned length() const { return length_; }
  std::string ToString() const;
  auto operator<=>(const Cidr&) const = default;

 private:
  IpAddress base_;
  unsigned length_ = 0;
};

// A kernel socket address with its length, ready for bind, connect and sendto.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress ToSocketAddress(const Endpoint& endpoint);
// Errors  kInvalidArgument: neither AF_INET nor AF_INET6.
Result<Endpoint> FromSocketAddress(const SocketAddress& address);

}  // namespace ambit::net

template <>
struct std::hash<ambit::net::IpAddress> {
  size_t operator()(const ambit::net::IpAddress& address) const noexcept;
};

template <>
struct std::hash<ambit::net::Endpoint> {
  size_t operator()(const ambit::net::Endpoint& endpoint) const noexcept;
};
