#include "cni-plugin/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cni-plugin/versions.h"

namespace ambit::cni {
namespace {

using Json = nlohmann::ordered_json;

// Printing a value recurses once per level; real configurations have a handful.
constexpr int kMaxDepth = 64;
constexpr size_t kMaxSocketPathBytes = 107;
constexpr int64_t kMinTimeoutMs = 100;
constexpr int64_t kMaxTimeoutMs = 120000;

std::unexpected<Failure> WrongType(std::string_view key, std::string_view wanted) {
  return FailWith(CniCode::kDecode, "the network configuration has \"" + std::string(key) +
                                        "\" that is not " + std::string(wanted));
}

bool DepthWithin(std::string_view text, int limit) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limit) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return true;
}

Outcome<Json> ParseObject(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return FailWith(CniCode::kDecode, "the network configuration on stdin is larger than 4 MiB");
  }
  if (!DepthWithin(text, kMaxDepth)) {
    return FailWith(CniCode::kDecode,
                    "the network configuration on stdin is nested deeper than 64 levels");
  }
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return FailWith(CniCode::kDecode, "the network configuration on stdin is not JSON",
                    text.empty() ? "stdin is empty" : std::to_string(text.size()) + " bytes");
  }
  if (!json.is_object()) {
    return FailWith(CniCode::kDecode, "the network configuration on stdin is not a JSON object");
  }
  return json;
}

// Absent and null leave `out` as it is, as Go's decoder does.
Outcome<void> ReadText(const Json& json, const char* key, std::string& out) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_string()) return WrongType(key, "a text");
  out = found->get<std::string>();
  return {};
}

Outcome<void> ReadVersion(const Json& json, Config& config) {
  if (auto read = ReadText(json, "cniVersion", config.cni_version); !read) return read;
  std::string wanted = config.cni_version;
  // A version that was never written is 0.1.0 by the specification.
  if (wanted.empty()) wanted = "0.1.0 (cniVersion is absent)";
  if (IsSupportedVersion(config.cni_version)) return {};
  return FailWith(CniCode::kIncompatibleVersion,
                  "the network configuration asks for CNI version " + wanted +
                      ", which ambit-cni does not speak",
                  "supported: " + SupportedVersionsText());
}

Outcome<void> ReadName(const Json& json, Config& config) {
  if (auto read = ReadText(json, "name", config.name); !read) return read;
  if (config.name.empty()) {
    return FailWith(CniCode::kBadConfig, "the network configuration has no \"name\"");
  }
  auto alphanumeric = [](unsigned char c) { return c < 128 && std::isalnum(c) != 0; };
  bool valid =
      alphanumeric(static_cast<unsigned char>(config.name.front())) &&
      std::ranges::all_of(config.name, [&](char c) {
        return alphanumeric(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
      });
  if (valid) return {};
  return FailWith(CniCode::kBadConfig, "the network name \"" + config.name + "\" is not valid",
                  "a letter or digit, then letters, digits, '_', '.' and '-'");
}

Outcome<void> ReadAgent(const Json& json, Config& config) {
  if (auto read = ReadText(json, "agent_socket", config.agent_socket); !read) return read;
  if (!config.agent_socket.starts_with('/') || config.agent_socket.size() > kMaxSocketPathBytes ||
      config.agent_socket.contains('\0')) {
    return FailWith(CniCode::kBadConfig,
                    "agent_socket \"" + config.agent_socket + "\" cannot be a socket's path",
                    "an absolute path of at most 107 bytes");
  }
  auto found = json.find("agent_timeout_ms");
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_number_integer()) return WrongType("agent_timeout_ms", "a whole number");
  // Above int64_t a number is held unsigned; converting it would wrap.
  bool huge = found->is_number_unsigned() && found->get<uint64_t>() > kMaxTimeoutMs;
  if (huge || found->get<int64_t>() < kMinTimeoutMs || found->get<int64_t>() > kMaxTimeoutMs) {
    return FailWith(CniCode::kBadConfig, "agent_timeout_ms " + found->dump() + " is out of range",
                    "100 to 120000 milliseconds");
  }
  config.agent_timeout = std::chrono::milliseconds(found->get<int64_t>());
  return {};
}

Outcome<void> ReadPrevResult(const Json& json, Config& config) {
  auto found = json.find("prevResult");
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_object()) return WrongType("prevResult", "an object");
  config.prev_result = found->dump();
  return {};
}

Outcome<void> ReadAttachments(const Json& json, Config& config) {
  constexpr const char* kKey = "cni.dev/valid-attachments";
  auto found = json.find(kKey);
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_array()) return WrongType(kKey, "a list");
  config.valid_attachments.emplace();
  for (const Json& entry : *found) {
    Attachment attachment;
    if (!entry.is_object()) return WrongType(kKey, "a list of objects");
    bool read = ReadText(entry, "containerID", attachment.container_id).has_value() &&
                ReadText(entry, "ifname", attachment.ifname).has_value();
    // Half an entry must not count: what it names would be thrown away.
    if (!read || attachment.container_id.empty() || attachment.ifname.empty()) {
      return WrongType(kKey, "a list of {\"containerID\", \"ifname\"}");
    }
    config.valid_attachments->push_back(std::move(attachment));
  }
  return {};
}

}  // namespace

Outcome<Config> ParseConfig(std::string_view text) {
  auto json = ParseObject(text);
  if (!json) return std::unexpected(json.error());
  Config config;
  for (auto* read : {ReadVersion, ReadName, ReadAgent, ReadPrevResult, ReadAttachments}) {
    if (auto done = read(*json, config); !done) return std::unexpected(done.error());
  }
  return config;
}

}  // namespace ambit::cni
