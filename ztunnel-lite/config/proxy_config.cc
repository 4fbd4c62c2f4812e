#include "ztunnel-lite/config/proxy_config.h"

#include <nlohmann/json.hpp>

#include "lib/k8s/yaml_json.h"

namespace ambit::config {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kMetadataPrefix = "ISTIO_META_";

std::unexpected<Error> Bad(std::string_view key, std::string_view wanted) {
  return Fail(ErrorCode::kInvalidArgument,
              std::string(key) + ": accepted is " + std::string(wanted));
}

// Null where there is no document.
Result<Json> Parse(std::string_view yaml) {
  if (yaml.empty()) return Json();
  auto documents = k8s::YamlToJson(yaml);
  if (!documents) return Fail(documents.error());
  if (documents->empty()) return Json();
  Json parsed = Json::parse(documents->front(), nullptr, false);
  if (!parsed.is_null() && !parsed.is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "it is no map");
  }
  return parsed;
}

Result<std::optional<uint16_t>> Number(const Json& config, const char* key) {
  auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (!found->is_number_integer() || *found < 0 || *found > UINT16_MAX) {
    return Bad(key, "a whole number from 0 to 65535");
  }
  return found->get<uint16_t>();
}

// Kubernetes' own maps of strings are strict about their values, and so is ztunnel.
Result<Environment::Map> Metadata(const Json& config) {
  auto found = config.find("proxyMetadata");
  if (found == config.end() || found->is_null()) return Environment::Map();
  if (!found->is_object()) return Bad("proxyMetadata", "a map of texts");
  Environment::Map metadata;
  for (const auto& [name, value] : found->items()) {
    if (!value.is_string()) return Bad("proxyMetadata." + name, "a text in quotes");
    std::string_view bare = name;
    if (bare.starts_with(kMetadataPrefix)) bare.remove_prefix(kMetadataPrefix.size());
    metadata.insert_or_assign(std::string(bare), value.get<std::string>());
  }
  return metadata;
}

Result<ProxyConfig> Read(const Json& config) {
  ProxyConfig out;
  if (config.is_null()) return out;
  if (auto found = config.find("discoveryAddress"); found != config.end() && !found->is_null()) {
    if (!found->is_string()) return Bad("discoveryAddress", "host:port");
    out.discovery_address = found->get<std::string>();
  }
  const std::pair<const char*, std::optional<uint16_t>*> numbers[] = {
      {"proxyAdminPort", &out.admin_port},
      {"statsPort", &out.stats_port},
      {"concurrency", &out.concurrency}};
  for (const auto& [key, number] : numbers) {
    auto value = Number(config, key);
    if (!value) return Fail(value.error());
    *number = *value;
  }
  auto metadata = Metadata(config);
  if (!metadata) return Fail(metadata.error());
  out.metadata = std::move(*metadata);
  return out;
}

}  // namespace

void ProxyConfig::Merge(ProxyConfig over) {
  if (over.discovery_address) discovery_address = std::move(over.discovery_address);
  if (over.admin_port) admin_port = over.admin_port;
  if (over.stats_port) stats_port = over.stats_port;
  if (over.concurrency) concurrency = over.concurrency;
  for (auto& [name, value] : over.metadata) metadata.insert_or_assign(name, std::move(value));
}

Result<ProxyConfig> ParseProxyConfig(std::string_view yaml) {
  auto parsed = Parse(yaml);
  if (!parsed) return Fail(parsed.error());
  return Read(*parsed);
}

Result<ProxyConfig> ParseMeshConfig(std::string_view yaml) {
  auto parsed = Parse(yaml);
  if (!parsed) return Fail(parsed.error());
  auto found = parsed->find("defaultConfig");
  if (parsed->is_null() || found == parsed->end() || found->is_null()) return ProxyConfig();
  if (!found->is_object()) return Bad("defaultConfig", "a map");
  return Read(*found);
}

}  // namespace ambit::config
