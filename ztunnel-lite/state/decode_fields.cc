#include "ztunnel-lite/state/decode_fields.h"

namespace ambit::state {

namespace {

constexpr unsigned kMappedPrefixBits = 96;

}  // namespace

std::unexpected<Error> BadField(std::string_view field, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, std::string(field) + ": " + std::string(why));
}

Result<net::IpAddress> DecodeIp(std::string_view field, const std::string& bytes) {
  auto address = net::IpAddress::FromBytes(AsBytes(bytes));
  if (!address) return std::unexpected(address.error().Wrap(field));
  return address;
}

Result<net::Cidr> DecodeCidr(std::string_view field, const std::string& bytes, uint32_t length) {
  auto address = DecodeIp(field, bytes);
  if (!address) return std::unexpected(address.error());
  if (length > bytes.size() * 8) {
    return BadField(field, "prefix length " + std::to_string(length) + " is too long for " +
                               address->ToString());
  }
  bool mapped = bytes.size() == 16 && address->is_v4();
  if (mapped && length < kMappedPrefixBits) {
    return BadField(field, "prefix length " + std::to_string(length) +
                               " cuts into the IPv4-mapped prefix of " + address->ToString());
  }
  return net::Cidr::Make(*address, mapped ? length - kMappedPrefixBits : length);
}

Result<uint16_t> DecodePort(std::string_view field, uint32_t port) {
  if (port > UINT16_MAX) return BadField(field, std::to_string(port) + " is not a port");
  return static_cast<uint16_t>(port);
}

Result<PortMap> DecodePorts(
    std::string_view field,
    const google::protobuf::RepeatedPtrField<istio::workload::Port>& ports) {
  PortMap out;
  for (const auto& port : ports) {
    auto service_port = DecodePort(field, port.service_port());
    if (!service_port) return std::unexpected(service_port.error());
    auto target_port = DecodePort(field, port.target_port());
    if (!target_port) return std::unexpected(target_port.error());
    out[*service_port] = *target_port;
  }
  return out;
}

Result<GatewayAddress> DecodeGateway(std::string_view field,
                                     const istio::workload::GatewayAddress& message) {
  GatewayAddress out;
  auto port = DecodePort(std::string(field) + ".hbone_mtls_port", message.hbone_mtls_port());
  if (!port) return std::unexpected(port.error());
  out.hbone_port = *port;
  if (message.has_hostname()) {
    if (message.hostname().hostname().empty()) return BadField(field, "hostname is empty");
    out.destination =
        NamespacedHostname{message.hostname().namespace_(), message.hostname().hostname()};
    return out;
  }
  if (!message.has_address()) return BadField(field, "destination is not set");
  auto address = DecodeIp(std::string(field) + ".address", message.address().address());
  if (!address) return std::unexpected(address.error());
  out.destination = NetworkAddress{message.address().network(), *address};
  return out;
}

}  // namespace ambit::state
