#include "ztunnel-lite/config/config.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <thread>

#include "ztunnel-lite/config/worker_threads.h"

namespace ambit::config {

namespace {

constexpr char kDefaultToken[] = "./var/run/secrets/tokens/istio-token";
constexpr int64_t kMaxWindow = (int64_t{1} << 31) - 1;

// Reads variables one by one and keeps the first error.
class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  void Text(std::string_view name, std::string& out) {
    if (auto value = environment_.Find(name)) out = *value;
  }
  void Bool(std::string_view name, bool& out) { Keep(environment_.Bool(name, out), out); }
  void Time(std::string_view name, std::chrono::milliseconds& out) {
    Keep(environment_.Duration(name, out), out);
  }
  void Seconds(std::string_view name, std::chrono::seconds& out) {
    std::chrono::milliseconds value = out;
    Time(name, value);
    out = std::chrono::ceil<std::chrono::seconds>(value);
  }
  template <typename Number>
  void Integer(std::string_view name, Number& out, int64_t low = 0,
               int64_t high = std::numeric_limits<Number>::max()) {
    Keep(environment_.Integer(name, out, low, high), out);
  }
  template <typename T, typename U>
  void Keep(const Result<T>& value, U& out) {
    if (value) {
      out = static_cast<U>(*value);
    } else if (!error_) {
      error_ = value.error();
    }
  }
  void Refuse(std::string_view name, std::string_view why) {
    if (error_) return;
    error_ = Error(ErrorCode::kInvalidArgument, "environment variable " + std::string(name) +
                                                    "=\"" + environment_.Text(name, "") +
                                                    "\": " + std::string(why));
  }

  const Environment& environment() const { return environment_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  const Environment& environment_;
  std::optional<Error> error_;
};

Environment::Map WithPrefix(const Environment& environment, std::string_view prefix) {
  Environment::Map out;
  for (const auto& [name, value] : environment.all()) {
    if (name.starts_with(prefix) && name.size() > prefix.size()) {
      out.emplace(name.substr(prefix.size()), value);
    }
  }
  return out;
}

Environment::Map HeadersWithPrefix(const Environment& environment, std::string_view prefix) {
  Environment::Map out;
  for (auto& [name, value] : WithPrefix(environment, prefix)) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    out.emplace(std::move(lower), value);
  }
  return out;
}

// Features of which leaving them out in silence would change what is protected or reachable.
void RefuseUnsupported(Reader& reader) {
  const Environment& environment = reader.environment();
  if (environment.Text("PROXY_MODE", "shared") != "shared") {
    reader.Refuse("PROXY_MODE", "only shared is supported");
  }
  const std::pair<const char*, const char*> unsupported[] = {
      {"CRL_PATH", "certificate revocation lists are not supported"},
  };
  for (const auto& [name, why] : unsupported) {
    if (!environment.Text(name, "").empty()) reader.Refuse(name, why);
  }
  const std::pair<const char*, const char*> must_be_false[] = {
      {"FAKE_CA", "test certificates are not supported"},
      {"XDS_ON_DEMAND", "on-demand discovery is not supported"},
      {"UNSTABLE_ENABLE_SOCKS5", "the SOCKS5 listener is not supported"},
  };
  for (const auto& [name, why] : must_be_false) {
    bool value = false;
    reader.Bool(name, value);
    if (value) reader.Refuse(name, why);
  }
  bool proxy = true;
  reader.Bool("ENABLE_PROXY", proxy);
  if (!proxy) reader.Refuse("ENABLE_PROXY", "the tunnel cannot run without its proxy");
}

void ReadMesh(Reader& reader, Config& out) {
  reader.Text("NETWORK", out.network);
  reader.Text("NODE_NAME", out.node_name);
  reader.Text("CLUSTER_DOMAIN", out.cluster_domain);
  reader.Text("CLUSTER_ID", out.cluster_id);
  reader.Text("ISTIO_META_CLUSTER_ID", out.cluster_id);
  reader.Text("POD_NAME", out.pod_name);
  reader.Text("POD_NAMESPACE", out.pod_namespace);
  reader.Text("INSTANCE_IP", out.instance_ip);
  reader.Text("SERVICE_ACCOUNT", out.service_account);
  reader.Text("TRUST_DOMAIN", out.trust_domain);
  out.proxy_metadata = WithPrefix(reader.environment(), "ISTIO_META_");
  out.proxy_metadata_json = WithPrefix(reader.environment(), "ISTIO_METAJSON_");
}

bool IsServer(std::string_view address) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (!address.starts_with(scheme)) continue;
    address.remove_prefix(scheme.size());
    return !address.empty() && address.front() != '/' && address.front() != ':';
  }
  return false;
}

void ReadControlPlane(Reader& reader, Config& out) {
  const Environment& environment = reader.environment();
  const char* fallback = environment.Find("KUBERNETES_SERVICE_HOST")
                             ? "https://istiod.istio-system.svc:15012"
                             : "https://localhost:15012";
  for (auto [name, address] :
       {std::pair("XDS_ADDRESS", &out.xds_address), std::pair("CA_ADDRESS", &out.ca_address)}) {
    *address = environment.Text(name, fallback);
    if (!address->empty() && address->find("://") == std::string::npos) {
      *address = "https://" + *address;
    }
    if (!address->empty() && !IsServer(*address)) {
      reader.Refuse(name, "accepted is host:port, https://host:port or http://host:port");
    }
  }
  reader.Text("XDS_ROOT_CA", out.xds_root_ca);
  reader.Text("CA_ROOT_CA", out.ca_root_ca);
  reader.Text("ALT_XDS_HOSTNAME", out.alt_xds_hostname);
  reader.Text("ALT_CA_HOSTNAME", out.alt_ca_hostname);
  reader.Time("SECRET_TTL", out.secret_ttl);
  out.xds_headers = HeadersWithPrefix(environment, "XDS_HEADER_");
  out.ca_headers = HeadersWithPrefix(environment, "CA_HEADER_");
  reader.Text("LOCAL_XDS_PATH", out.local_xds_path);
  reader.Text("LOCAL_XDS", out.local_xds);
  if (!out.local_xds_path.empty() && !out.local_xds.empty()) {
    reader.Refuse("LOCAL_XDS_PATH", "LOCAL_XDS is set too; only one of them is accepted");
  }
  std::string token = environment.Text("AUTH_TOKEN", kDefaultToken);
  std::error_code ignored;
  if (std::filesystem::exists(token, ignored)) {
    out.auth_token_path = token;
  } else if (environment.Find("AUTH_TOKEN")) {
    out.auth_token_literal = token;
  }
}

void ReadPods(Reader& reader, Config& out) {
  reader.Text("INPOD_UDS", out.zds_path);
  reader.Integer("PACKET_MARK", out.packet_mark);
  reader.Bool("INPOD_PORT_REUSE", out.reuse_port);
  if (reader.environment().Find("ENABLE_ORIG_SRC")) {
    bool preserve = true;
    reader.Bool("ENABLE_ORIG_SRC", preserve);
    out.preserve_source = preserve;
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
  reader.Keep(CountWorkerThreads(reader.environment(),
                                 static_cast<int>(std::thread::hardware_concurrency())),
              out.worker_threads);
}

void ReadDeadlines(Reader& reader, Config& out) {
  reader.Time("AMBIT_CONNECT_TIMEOUT", out.connect_timeout);
  reader.Time("AMBIT_HANDSHAKE_TIMEOUT", out.handshake_timeout);
  reader.Time("AMBIT_RESPONSE_TIMEOUT", out.response_timeout);
  reader.Time("AMBIT_HALF_CLOSE_TIMEOUT", out.half_close_timeout);
  if (reader.environment().Find("TERMINATION_GRACE_PERIOD_SECONDS")) {
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
  reader.Text("RUST_LOG", out.log_filter);
  if (out.log_filter.empty()) out.log_filter = "info";
  std::string format = reader.environment().Text("LOG_FORMAT", "plain");
  out.log_json = format == "json";
  if (format != "json" && format != "plain" && !format.empty()) {
    reader.Refuse("LOG_FORMAT", "accepted are plain and json");
  }
}

}  // namespace

Result<Config> Config::FromEnvironment(const Environment& environment) {
  Reader reader(environment);
  Config out;
  RefuseUnsupported(reader);
  for (auto read :
       {ReadMesh, ReadControlPlane, ReadPods, ReadDataPath, ReadDeadlines, ReadObservability}) {
    read(reader, out);
  }
  if (reader.error()) return std::unexpected(*reader.error());
  return out;
}

}  // namespace ambit::config
