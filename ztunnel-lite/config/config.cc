#include "ztunnel-lite/config/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "ztunnel-lite/config/log_scopes.h"
#include "ztunnel-lite/config/proxy_config.h"
#include "ztunnel-lite/config/reader.h"
#include "ztunnel-lite/config/worker_threads.h"

namespace ambit::config {

namespace {

constexpr char kDefaultToken[] = "./var/run/secrets/tokens/istio-token";
constexpr int64_t kMaxWindow = (int64_t{1} << 31) - 1;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

Environment::Map HeadersWithPrefix(Reader& reader, std::string_view prefix) {
  Environment::Map out;
  for (auto& [name, value] : reader.WithPrefix(prefix)) out.emplace(Lower(name), value);
  return out;
}

// Features of which leaving them out in silence would change what is protected or reachable.
void RefuseUnsupported(Reader& reader) {
  const std::pair<const char*, const char*> must_be_false[] = {
      {"FAKE_CA", "self-signed certificates protect nothing; run ambit-control as the CA instead"},
      {"XDS_ON_DEMAND", "on-demand discovery is not supported"},
      {"UNSTABLE_ENABLE_SOCKS5", "the SOCKS5 listener is not supported"},
      {"TLS12_ENABLED", "tunnels speak TLS 1.3 only"},
  };
  for (const auto& [name, why] : must_be_false) {
    bool value = false;
    reader.Bool(name, value);
    if (value) reader.Refuse(name, why);
  }
  std::string policy = reader.Find("COMPLIANCE_POLICY").value_or("");
  if (policy == "pqc") {
    reader.Refuse("COMPLIANCE_POLICY",
                  "the OpenSSL that this was built with has no X25519MLKEM768 (it came with 3.5)");
  } else if (!policy.empty()) {
    reader.Refuse("COMPLIANCE_POLICY", "no such policy is known");
  }
}

Result<std::string> ReadIfThere(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::string();
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Fail(ErrorCode::kIo, "cannot read " + path);
  return text.str();
}

// The mesh's defaults with what is meant for this proxy over them.
ProxyConfig ReadProxyConfig(Reader& reader, const std::string& mesh_config_path) {
  auto text = ReadIfThere(mesh_config_path);
  auto merged = text ? ParseMeshConfig(*text) : Result<ProxyConfig>(Fail(text.error()));
  if (!merged) {
    reader.Refuse(merged.error().Wrap("mesh configuration " + mesh_config_path));
    merged = ProxyConfig();
  }
  auto own = ParseProxyConfig(reader.Find("PROXY_CONFIG").value_or(""));
  if (own) {
    merged->Merge(std::move(*own));
  } else {
    reader.Refuse("PROXY_CONFIG", own.error().message());
  }
  return std::move(*merged);
}

void TakeProxyConfig(Reader& reader, ProxyConfig proxy, Config& out) {
  out.admin_port = proxy.admin_port.value_or(out.admin_port);
  out.metrics_port = proxy.stats_port.value_or(out.metrics_port);
  out.xds_address = proxy.discovery_address.value_or("");
  const Cpus cpus{.logical = static_cast<int>(std::thread::hardware_concurrency()),
                  .concurrency = proxy.concurrency};
  out.worker_threads = CountWorkerThreads(reader, cpus);
  out.proxy_metadata = reader.WithPrefix("ISTIO_META_");
  out.proxy_metadata.merge(proxy.metadata);
  out.proxy_metadata_json = reader.WithPrefix("ISTIO_METAJSON_");
}

void ReadTrustDomainAliases(Reader& reader, Config& out) {
  constexpr char kName[] = "AMBIT_TRUST_DOMAIN_ALIASES";
  std::string text = reader.Find(kName).value_or("");
  if (text.empty()) return;
  out.trust_domain_aliases.push_back(out.trust_domain);
  for (size_t at = 0; at <= text.size();) {
    size_t comma = std::min(text.find(',', at), text.size());
    std::string alias = text.substr(at, comma - at);
    at = comma + 1;
    bool valid = !alias.empty() && alias.find_first_not_of(
                                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789.-_") == std::string::npos;
    if (!valid) return reader.Refuse(kName, "accepted are trust domains, separated by commas");
    if (std::ranges::find(out.trust_domain_aliases, alias) == out.trust_domain_aliases.end()) {
      out.trust_domain_aliases.push_back(std::move(alias));
    }
  }
}

void ReadMesh(Reader& reader, Config& out) {
  reader.Text("NETWORK", out.network);
  reader.Text("NODE_NAME", out.node_name);
  reader.Text("CLUSTER_DOMAIN", out.cluster_domain);
  reader.Text("CLUSTER_ID", out.cluster_id);
  reader.Text("POD_NAME", out.pod_name);
  reader.Text("POD_NAMESPACE", out.pod_namespace);
  reader.Text("INSTANCE_IP", out.instance_ip);
  reader.Text("SERVICE_ACCOUNT", out.service_account);
  reader.Text("TRUST_DOMAIN", out.trust_domain);
  if (auto cluster = reader.Find("ISTIO_META_CLUSTER_ID")) out.cluster_id = *cluster;
  reader.Text("CRL_PATH", out.crl_path);
  ReadTrustDomainAliases(reader, out);
}

bool IsServer(std::string_view address) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (!address.starts_with(scheme)) continue;
    address.remove_prefix(scheme.size());
    return !address.empty() && address.front() != '/' && address.front() != ':';
  }
  return false;
}

// With a scheme; empty where there is no server.
std::string ReadServer(Reader& reader, std::string_view name, const std::string& fallback) {
  std::string address = reader.Find(name).value_or(fallback);
  if (!address.empty() && address.find("://") == std::string::npos) address = "https://" + address;
  if (!address.empty() && !IsServer(address)) {
    reader.Refuse(name, "accepted is host:port, https://host:port or http://host:port");
  }
  return address;
}

void ReadControlPlane(Reader& reader, Config& out) {
  const std::string fallback = reader.Find("KUBERNETES_SERVICE_HOST")
                                   ? "https://istiod.istio-system.svc:15012"
                                   : "https://localhost:15012";
  out.xds_address =
      ReadServer(reader, "XDS_ADDRESS", out.xds_address.empty() ? fallback : out.xds_address);
  out.ca_address = ReadServer(reader, "CA_ADDRESS", fallback);
  reader.Text("XDS_ROOT_CA", out.xds_root_ca);
  reader.Text("CA_ROOT_CA", out.ca_root_ca);
  reader.Text("ALT_XDS_HOSTNAME", out.alt_xds_hostname);
  reader.Text("ALT_CA_HOSTNAME", out.alt_ca_hostname);
  reader.Time("SECRET_TTL", out.secret_ttl);
  out.xds_headers = HeadersWithPrefix(reader, "XDS_HEADER_");
  out.ca_headers = HeadersWithPrefix(reader, "CA_HEADER_");
  reader.Text("LOCAL_XDS_PATH", out.local_xds_path);
  reader.Text("LOCAL_XDS", out.local_xds);
  if (!out.local_xds_path.empty() && !out.local_xds.empty()) {
    reader.Refuse("LOCAL_XDS_PATH", "LOCAL_XDS is set too; only one of them is accepted");
  }
  auto given = reader.Find("AUTH_TOKEN");
  std::string token = given.value_or(kDefaultToken);
  std::error_code ignored;
  if (std::filesystem::exists(token, ignored)) {
    out.auth_token_path = token;
  } else if (given) {
    out.auth_token_literal = token;
  }
}

DedicatedPod ReadDedicatedPod(Reader& reader) {
  constexpr std::string_view kName = "PROXY_WORKLOAD_INFO";
  DedicatedPod pod;
  std::string text = reader.Find(kName).value_or("");
  const size_t first = text.find('/');
  const size_t second = first == std::string::npos ? first : text.find('/', first + 1);
  if (second == std::string::npos) {
    reader.Refuse(kName, "PROXY_MODE=dedicated needs it as namespace/name/service-account");
    return pod;
  }
  pod.ns = text.substr(0, first);
  pod.name = text.substr(first + 1, second - first - 1);
  pod.service_account = text.substr(second + 1);
  return pod;
}

void ReadPods(Reader& reader, Config& out) {
  const std::string mode = reader.Find("PROXY_MODE").value_or("shared");
  if (mode == "dedicated") {
    out.dedicated = ReadDedicatedPod(reader);
    // Nothing redirects the process's own connections unless somebody says by which mark.
    out.packet_mark = 0;
  } else if (mode != "shared") {
    reader.Refuse("PROXY_MODE", "accepted are shared and dedicated");
  }
  reader.Text("INPOD_UDS", out.zds_path);
  reader.Integer("PACKET_MARK", out.packet_mark);
  reader.Bool("INPOD_PORT_REUSE", out.reuse_port);
  reader.Bool("ENABLE_ORIG_SRC", out.preserve_source);
}

// "localhost:15053" or an address with a port.
void ReadDnsAddress(Reader& reader, const std::string& text, DnsAddress& out) {
  constexpr std::string_view kLocalhost = "localhost:";
  const bool local = text.starts_with(kLocalhost);
  auto endpoint = net::Endpoint::Parse(local ? "0.0.0.0:" + text.substr(kLocalhost.size()) : text);
  if (!endpoint) {
    reader.Refuse(Error(ErrorCode::kInvalidArgument,
                        "proxy metadata DNS_PROXY_ADDR=\"" + text +
                            "\": accepted is localhost:port or an IP address with a port"));
    return;
  }
  if (!local) out.address = endpoint->address;
  out.port = endpoint->port;
}

// After the proxy configuration.
void ReadDns(Reader& reader, Config& out) {
  auto metadata = [&out](std::string_view name) {
    auto found = out.proxy_metadata.find(name);
    return found == out.proxy_metadata.end() ? nullptr : &found->second;
  };
  // Pods opt in by redirection; the listeners do no harm.
  if (const auto* capture = metadata("DNS_CAPTURE")) out.dns = Lower(*capture) == "true";
  if (const auto* address = metadata("DNS_PROXY_ADDR")) {
    ReadDnsAddress(reader, *address, out.dns_address);
  }
  reader.Text("PREFERED_SERVICE_NAMESPACE", out.preferred_service_namespace);
  reader.Bool("ENABLE_PROXY", out.proxy);
  if (!out.proxy && !out.dns) {
    reader.Refuse("ENABLE_PROXY", "with DNS_CAPTURE off as well there would be nothing to serve");
  }
}

void ReadDataPath(Reader& reader, Config& out) {
  reader.Bool("IPV6_ENABLED", out.ipv6);
  reader.Bool("KEEPALIVE_ENABLED", out.keepalive);
  reader.Seconds("KEEPALIVE_TIME", out.keepalive_options.idle);
  reader.Seconds("KEEPALIVE_INTERVAL", out.keepalive_options.interval);
  reader.Integer("KEEPALIVE_RETRIES", out.keepalive_options.probes, 1, 127);
  reader.Bool("USER_TIMEOUT_ENABLED", out.user_timeout);
  reader.Integer("POOL_MAX_STREAMS_PER_CONNECTION", out.pool_max_streams, 1, UINT16_MAX);
  reader.Time("POOL_UNUSED_RELEASE_TIMEOUT", out.pool_unused_release);
  reader.Integer("HTTP2_STREAM_WINDOW_SIZE", out.stream_window_bytes, 1, kMaxWindow);
  reader.Integer("HTTP2_CONNECTION_WINDOW_SIZE", out.connection_window_bytes, 65535, kMaxWindow);
  reader.Integer("HTTP2_FRAME_SIZE", out.frame_size_bytes, 16384, (1 << 24) - 1);
  reader.Bool("ENABLE_RESPONSE_BAGGAGE", out.response_baggage);
  reader.Bool("LOCALHOST_APP_TUNNEL", out.localhost_app_tunnel);
}

void ReadDeadlines(Reader& reader, Config& out) {
  reader.Time("AMBIT_CONNECT_TIMEOUT", out.connect_timeout);
  reader.Time("AMBIT_HANDSHAKE_TIMEOUT", out.handshake_timeout);
  reader.Time("AMBIT_RESPONSE_TIMEOUT", out.response_timeout);
  reader.Time("AMBIT_HALF_CLOSE_TIMEOUT", out.half_close_timeout);
  reader.Time("AMBIT_PING_INTERVAL", out.ping_interval);
  reader.Time("AMBIT_PING_TIMEOUT", out.ping_timeout);
  for (auto [name, time] : {std::pair("AMBIT_PING_INTERVAL", out.ping_interval),
                            std::pair("AMBIT_PING_TIMEOUT", out.ping_timeout)}) {
    if (time.count() == 0) reader.Refuse(name, "accepted is a duration above zero");
  }
  if (reader.Find("TERMINATION_GRACE_PERIOD_SECONDS")) {
    int64_t grace = 0;
    reader.Integer("TERMINATION_GRACE_PERIOD_SECONDS", grace, 0, 1 << 30);
    // Leaves the process time to end before the kubelet kills it.
    out.termination_deadline =
        std::chrono::seconds(grace > 10 ? grace - 5 : std::max<int64_t>(1, grace - 1));
  }
  reader.Time("CONNECTION_TERMINATION_DEADLINE", out.termination_deadline);
}

void ReadObservability(Reader& reader, Config& out) {
  reader.Integer("AMBIT_ADMIN_PORT", out.admin_port);
  reader.Integer("AMBIT_METRICS_PORT", out.metrics_port);
  reader.Integer("AMBIT_READINESS_PORT", out.readiness_port);
  reader.Integer("AMBIT_SERIES_BOUND", out.series_bound, 100, 10000000);
  reader.Time("AMBIT_SERIES_KEEP", out.series_keep);
  reader.Time("AMBIT_ERROR_SUMMARY_INTERVAL", out.error_summary_interval);
  reader.Bool("AUTHZ_POLICY_INFO_LOGGING", out.log_policies);
  reader.Text("RUST_LOG", out.log_filter);
  out.log_filter = out.log_filter.empty() ? "info" : OwnScopes(out.log_filter);
  std::string format = reader.Find("LOG_FORMAT").value_or("plain");
  out.log_json = format == "json";
  if (format != "json" && format != "plain" && !format.empty()) {
    reader.Refuse("LOG_FORMAT", "accepted are plain and json");
  }
}

void ReadAll(Reader& reader, const std::string& mesh_config_path, Config& out) {
  RefuseUnsupported(reader);
  TakeProxyConfig(reader, ReadProxyConfig(reader, mesh_config_path), out);
  for (auto read : {ReadMesh, ReadControlPlane, ReadPods, ReadDns, ReadDataPath, ReadDeadlines,
                    ReadObservability}) {
    read(reader, out);
  }
}

}  // namespace

Result<Config> Config::FromEnvironment(const Environment& environment,
                                       const std::string& mesh_config_path) {
  Reader reader(environment);
  Config out;
  ReadAll(reader, mesh_config_path, out);
  if (reader.error()) return std::unexpected(*reader.error());
  out.unknown_variables = reader.Unknown();
  return out;
}

std::vector<std::string> Config::KnownVariables() {
  // Some are looked at only where others are set.
  const Environment environment({{"PROXY_MODE", "dedicated"}});
  Reader reader(environment);
  Config ignored;
  ReadAll(reader, "", ignored);
  return {reader.known().begin(), reader.known().end()};
}

}  // namespace ambit::config
