#include "ztunnel-lite/admin/config_section.h"

#include <nlohmann/json.hpp>

namespace ambit::admin {

using Json = nlohmann::ordered_json;

namespace {

Json Duration(std::chrono::milliseconds time) {
  return {{"secs", time.count() / 1000}, {"nanos", time.count() % 1000 * 1000000}};
}

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

// PEM text stays out: it is long and says nothing that the certificates do not.
Json RootCert(const std::string& value) {
  if (value == "SYSTEM") return "Default";
  if (value.starts_with("-----BEGIN")) return "Static";
  return {{"File", value}};
}

Json HeaderNames(const Environment::Map& headers) {
  Json names = Json::array();
  for (const auto& [name, value] : headers) names.push_back(name);
  return names;
}

std::string Wildcard(const config::Config& config, uint16_t port) {
  return net::Endpoint{net::IpAddress::Any(config.ipv6 ? net::Family::kIpv6 : net::Family::kIpv4),
                       port}
      .ToString();
}

Json DnsAddress(const config::Config& config) {
  const auto& dns = config.dns_address;
  if (!dns.address) return {{"Localhost", {config.ipv6, dns.port}}};
  return {{"SocketAddr", net::Endpoint{*dns.address, dns.port}.ToString()}};
}

void AddMesh(Json& out, const config::Config& config) {
  out["proxyMode"] = config.dedicated ? "Dedicated" : "Shared";
  out["proxyWorkloadInformation"] = Json();
  if (const auto& pod = config.dedicated) {
    out["proxyWorkloadInformation"] = {
        {"name", pod->name}, {"namespace", pod->ns}, {"serviceAccount", pod->service_account}};
  }
  out["network"] = config.network;
  out["localNode"] = OrNull(config.node_name);
  out["clusterId"] = config.cluster_id;
  out["clusterDomain"] = config.cluster_domain;
  out["preferedServiceNamespace"] = OrNull(config.preferred_service_namespace);
  out["proxyMetadata"] = config.proxy_metadata;
}

void AddControlPlane(Json& out, const config::Config& config) {
  out["xdsAddress"] = OrNull(config.xds_address);
  out["xdsRootCert"] = RootCert(config.xds_root_ca);
  out["altXdsHostname"] = OrNull(config.alt_xds_hostname);
  out["xdsHeaders"] = HeaderNames(config.xds_headers);
  out["caAddress"] = OrNull(config.ca_address);
  out["caRootCert"] = RootCert(config.ca_root_ca);
  out["altCaHostname"] = OrNull(config.alt_ca_hostname);
  out["caHeaders"] = HeaderNames(config.ca_headers);
  out["secretTtl"] = Duration(config.secret_ttl);
}

void AddListeners(Json& out, const config::Config& config) {
  out["proxy"] = config.proxy;
  out["dnsProxy"] = config.dns;
  out["dnsProxyAddr"] = DnsAddress(config);
  out["outboundAddr"] = Wildcard(config, 15001);
  out["inboundPlaintextAddr"] = Wildcard(config, 15006);
  out["inboundAddr"] = Wildcard(config, 15008);
  out["adminAddr"] = {{"Localhost", {config.ipv6, config.admin_port}}};
  out["statsAddr"] = {{"SocketAddr", Wildcard(config, config.metrics_port)}};
  out["readinessAddr"] = {{"SocketAddr", Wildcard(config, config.readiness_port)}};
  out["inpodUds"] = config.zds_path;
  out["inpodPortReuse"] = config.reuse_port;
  out["packetMark"] = config.packet_mark == 0 ? Json() : Json(config.packet_mark);
  out["requireOriginalSource"] = config.preserve_source ? Json(*config.preserve_source) : Json();
  out["ipv6Enabled"] = config.ipv6;
  out["localhostAppTunnel"] = config.localhost_app_tunnel;
}

void AddDataPath(Json& out, const config::Config& config) {
  const auto& keepalive = config.keepalive_options;
  out["socketConfig"] = {{"keepaliveEnabled", config.keepalive},
                         {"keepaliveTime", Duration(keepalive.idle)},
                         {"keepaliveInterval", Duration(keepalive.interval)},
                         {"keepaliveRetries", keepalive.probes},
                         {"userTimeoutEnabled", config.user_timeout}};
  out["poolMaxStreamsPerConn"] = config.pool_max_streams;
  out["poolUnusedReleaseTimeout"] = Duration(config.pool_unused_release);
  out["windowSize"] = config.stream_window_bytes;
  out["connectionWindowSize"] = config.connection_window_bytes;
  out["frameSize"] = config.frame_size_bytes;
  out["numWorkerThreads"] = config.worker_threads;
  out["enableEnhancedBaggage"] = config.response_baggage;
  out["selfTerminationDeadline"] = Duration(config.termination_deadline);
  out["connectTimeout"] = Duration(config.connect_timeout);
  out["handshakeTimeout"] = Duration(config.handshake_timeout);
  out["responseTimeout"] = Duration(config.response_timeout);
  out["halfCloseTimeout"] = Duration(config.half_close_timeout);
  out["pingInterval"] = Duration(config.ping_interval);
  out["pingTimeout"] = Duration(config.ping_timeout);
}

void AddObservation(Json& out, const config::Config& config) {
  out["logFilter"] = config.log_filter;
  out["logPolicies"] = config.log_policies;
  out["seriesBound"] = config.series_bound;
  out["seriesKeep"] = Duration(config.series_keep);
  out["errorSummaryInterval"] = Duration(config.error_summary_interval);
}

}  // namespace

std::string ConfigSection(const config::Config& config) {
  Json out;
  for (auto add : {AddMesh, AddControlPlane, AddListeners, AddDataPath, AddObservation}) {
    add(out, config);
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ambit::admin
