#include "ztunnel-lite/local/read.h"

namespace ambit::local {

namespace {

constexpr uint16_t kHbonePort = 15008;

uint16_t ReadPort(const YamlValue& at, std::string_view text, Report& report) {
  YamlValue scalar = at;
  scalar.kind = YamlValue::Kind::kScalar;
  scalar.text = text;
  return static_cast<uint16_t>(IntegerOf(scalar, UINT16_MAX, report));
}

}  // namespace

state::PortMap ReadPorts(const YamlValue& value, Report& report) {
  state::PortMap out;
  if (value.kind != YamlValue::Kind::kMap) report.Add(value, "a map of ports is wanted");
  for (const YamlValue& item : value.items) {
    out[ReadPort(item, item.key, report)] = ReadPort(item, TextOf(item, report), report);
  }
  return out;
}

state::NetworkAddress ReadNetworkAddress(const YamlValue& value, Report& report) {
  auto [network, address] = PairOf(value, TextOf(value, report), "<network>/<address>", report);
  return {network, IpOf(value, address, report)};
}

std::optional<state::GatewayAddress> ReadGateway(const YamlValue* value, Report& report) {
  if (value == nullptr) return std::nullopt;
  state::GatewayAddress out;
  out.hbone_port = kHbonePort;
  Fields fields(*value, "gateway address", report);
  fields.Require({"destination"});
  fields.Integer("hboneMtlsPort", out.hbone_port);
  if (const YamlValue* destination = fields.Find("destination")) {
    constexpr std::string_view kForm = "<network>/<address> or <namespace>/<hostname>";
    auto [left, right] = PairOf(*destination, TextOf(*destination, report), kForm, report);
    if (auto address = net::IpAddress::Parse(right)) {
      out.destination = state::NetworkAddress{left, *address};
    } else {
      if (right.empty()) report.Add(*destination, "the hostname is empty");
      out.destination = state::NamespacedHostname{left, right};
    }
  }
  return out;
}

}  // namespace ambit::local
