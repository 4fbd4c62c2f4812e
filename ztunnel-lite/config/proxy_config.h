#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/environment.h"
#include "lib/base/error.h"

namespace ambit::config {

// What the tunnel takes from Istio's ProxyConfig; the rest of it is for sidecars and is ignored.
struct ProxyConfig {
  std::optional<std::string> discovery_address{};
  std::optional<uint16_t> admin_port{}, stats_port{}, concurrency{};
  Environment::Map metadata{};  // "ISTIO_META_" removed

  // `over` wins where it says something.
  void Merge(ProxyConfig over);
};

// YAML or JSON; empty says nothing. Errors  kInvalidArgument: names the key and what is accepted.
Result<ProxyConfig> ParseProxyConfig(std::string_view yaml);
// The `defaultConfig` of a mesh configuration.
Result<ProxyConfig> ParseMeshConfig(std::string_view yaml);

}  // namespace ambit::config
