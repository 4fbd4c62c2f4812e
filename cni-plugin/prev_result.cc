#include "cni-plugin/prev_result.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "cni-plugin/versions.h"

namespace ambit::cni {
namespace {

using Json = nlohmann::ordered_json;

// The version in which `ips[].version` went away.
constexpr std::string_view kFirstWithoutFamily = "1.0.0";

std::unexpected<Failure> Bad(const std::string& what) {
  return FailWith(CniCode::kDecode, "prevResult " + what + " (from the plugin before ambit-cni)");
}

Bytes MaskBytes(unsigned length, size_t size) {
  Bytes mask(size);
  for (size_t i = 0; i < size; ++i) {
    unsigned bits = std::min(8u, length - std::min(length, static_cast<unsigned>(8 * i)));
    mask[i] = static_cast<std::byte>(0xff00u >> bits);
  }
  return mask;
}

// "10.0.0.5/24", with the host bits, which net::Cidr would clear.
std::optional<PodAddress> ParseAddress(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto address = net::IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  size_t size = text.contains(':') ? 16 : 4;
  std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || length > 8 * size) {
    return std::nullopt;
  }
  PodAddress result;
  result.address = *address;
  result.mask = MaskBytes(length, size);
  return result;
}

Outcome<PodAddress> ReadAddress(const Json& entry, const std::string& where) {
  if (!entry.is_object()) return Bad(where + " is not an object");
  auto text = entry.find("address");
  if (text == entry.end() || !text->is_string()) return Bad(where + " has no \"address\" text");
  auto address = ParseAddress(text->get_ref<const std::string&>());
  if (!address) return Bad(where + " has address " + text->dump() + ", not like 10.0.0.5/24");
  if (auto gateway = entry.find("gateway"); gateway != entry.end() && !gateway->is_null()) {
    if (!gateway->is_string()) return Bad(where + " has a \"gateway\" that is not a text");
    address->gateway = gateway->get<std::string>();
  }
  if (auto index = entry.find("interface"); index != entry.end() && !index->is_null()) {
    if (!index->is_number_integer()) return Bad(where + " has an \"interface\" that is no number");
    address->interface = index->get<int>();
  }
  return std::move(*address);
}

Outcome<void> CheckVersion(const Json& result) {
  auto version = result.find("cniVersion");
  if (version == result.end() || version->is_null()) return {};
  if (!version->is_string()) return Bad("has a \"cniVersion\" that is not a text");
  if (IsSupportedVersion(version->get_ref<const std::string&>())) return {};
  return FailWith(
      CniCode::kUnsupportedField,
      "prevResult has CNI version " + version->dump() + ", which ambit-cni cannot pass on",
      "prevResult.cniVersion=" + version->dump());
}

// Before 1.0.0 every address says its family; since then it must not.
void ConvertAddresses(Json& result, std::string_view version) {
  auto ips = result.find("ips");
  if (ips == result.end() || !ips->is_array()) return;
  bool wanted = !VersionAtLeast(version, kFirstWithoutFamily);
  for (Json& entry : *ips) {
    if (!wanted) {
      entry.erase("version");
    } else if (!entry.contains("version")) {
      bool v6 = entry["address"].get_ref<const std::string&>().contains(':');
      entry["version"] = v6 ? "6" : "4";
    }
  }
}

}  // namespace

Outcome<std::vector<PodAddress>> ReadAddresses(const Config& config) {
  std::vector<PodAddress> addresses;
  if (!config.prev_result) return addresses;
  Json result = Json::parse(*config.prev_result, nullptr, false);
  if (auto version = CheckVersion(result); !version) return std::unexpected(version.error());
  auto ips = result.find("ips");
  if (ips == result.end() || ips->is_null()) return addresses;
  if (!ips->is_array()) return Bad("has \"ips\" that are not a list");
  for (size_t i = 0; i < ips->size(); ++i) {
    auto address = ReadAddress((*ips)[i], "ips[" + std::to_string(i) + "]");
    if (!address) return std::unexpected(address.error());
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

std::string RenderResult(const Config& config) {
  Json result = Json::object();
  if (config.prev_result) result = Json::parse(*config.prev_result, nullptr, false);
  if (result.contains("cniVersion")) {
    result["cniVersion"] = config.cni_version;
  } else {
    Json versioned{{"cniVersion", config.cni_version}};
    versioned.update(result);
    result = std::move(versioned);
  }
  ConvertAddresses(result, config.cni_version);
  return result.dump(4) + "\n";
}

}  // namespace ambit::cni
