#include "ztunnel-lite/proxy/proxy_header.h"

#include <array>

namespace ambit::proxy {
namespace {

constexpr std::array<uint8_t, 12> kSignature{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                             0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr uint8_t kVersion2Proxy = 0x21;
constexpr uint8_t kTcp4 = 0x11, kTcp6 = 0x21, kUnspecifiedStream = 0x01;
constexpr uint8_t kPeerIdentity = 0xD0, kServiceHostname = 0xD1;
constexpr size_t kLengthAt = 14, kHeadBytes = 16, kMaxBody = 0xFFFF;

void Put8(Bytes& out, uint8_t value) { out.push_back(static_cast<std::byte>(value)); }

void Put16(Bytes& out, size_t value) {
  Put8(out, static_cast<uint8_t>(value >> 8));
  Put8(out, static_cast<uint8_t>(value));
}

void Put(Bytes& out, ByteSpan bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void PutField(Bytes& out, uint8_t type, std::string_view value) {
  if (value.empty() || out.size() - kHeadBytes + 3 + value.size() > kMaxBody) return;
  Put8(out, type);
  Put16(out, value.size());
  Put(out, AsBytes(value));
}

}  // namespace

Bytes ProxyHeader(const net::Endpoint& source, const net::Endpoint& destination,
                  std::string_view peer_identity, std::string_view service_hostname) {
  const bool same_family = source.address.family() == destination.address.family();
  const uint8_t family = source.address.is_v4() ? kTcp4 : kTcp6;
  Bytes out;
  for (uint8_t byte : kSignature) Put8(out, byte);
  Put8(out, kVersion2Proxy);
  Put8(out, same_family ? family : kUnspecifiedStream);
  Put16(out, 0);
  if (same_family) {
    Put(out, source.address.bytes());
    Put(out, destination.address.bytes());
    Put16(out, source.port);
    Put16(out, destination.port);
  }
  PutField(out, kPeerIdentity, peer_identity);
  PutField(out, kServiceHostname, service_hostname);
  const size_t body = out.size() - kHeadBytes;
  out[kLengthAt] = static_cast<std::byte>(body >> 8);
  out[kLengthAt + 1] = static_cast<std::byte>(body);
  return out;
}

}  // namespace ambit::proxy
