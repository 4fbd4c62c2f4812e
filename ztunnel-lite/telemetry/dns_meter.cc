#include "ztunnel-lite/telemetry/dns_meter.h"

#include <algorithm>
#include <limits>

namespace ambit::telemetry {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string ValueOr(const std::string& value) { return value.empty() ? "unknown" : value; }

Labels LabelsOf(uint16_t query_type, DnsProtocol protocol, const state::Workload* client) {
  return {{"request_query_type", std::string(QueryTypeName(query_type))},
          {"request_protocol", protocol == DnsProtocol::kUdp ? "udp" : "tcp"},
          {"source_canonical_service", ValueOr(client ? client->canonical_name : "")},
          {"source_canonical_revision", ValueOr(client ? client->canonical_revision : "")}};
}

prometheus::MetricFamily FamilyOf(const char* name, const char* help, prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

}  // namespace

std::string_view QueryTypeName(uint16_t type) {
  struct Name {
    uint16_t type;
    std::string_view name;
  };
  static constexpr Name kNames[] = {
      {1, "a"},       {2, "ns"},     {5, "cname"}, {6, "soa"},    {12, "ptr"},   {13, "hinfo"},
      {15, "mx"},     {16, "txt"},   {28, "aaaa"}, {29, "loc"},   {33, "srv"},   {35, "naptr"},
      {37, "cert"},   {39, "dname"}, {43, "ds"},   {44, "sshfp"}, {46, "rrsig"}, {47, "nsec"},
      {48, "dnskey"}, {50, "nsec3"}, {52, "tlsa"}, {64, "svcb"},  {65, "https"}, {251, "ixfr"},
      {252, "axfr"},  {255, "any"},  {256, "uri"}, {257, "caa"}};
  for (const auto& known : kNames) {
    if (known.type == type) return known.name;
  }
  return "unknown";
}

void DnsSeries::CountUpstream(std::chrono::nanoseconds duration, Outcome outcome) {
  upstream_.fetch_add(1, kRelaxed);
  if (outcome == Outcome::kFailed) failures_.fetch_add(1, kRelaxed);
  nanoseconds_.fetch_add(static_cast<uint64_t>(duration.count()), kRelaxed);
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto bucket = std::ranges::lower_bound(kBounds, seconds) - kBounds.begin();
  buckets_[static_cast<size_t>(bucket)].fetch_add(1, kRelaxed);
}

std::shared_ptr<DnsSeries> DnsMeter::Find(uint16_t query_type, DnsProtocol protocol,
                                          const state::Workload* client) {
  return series_.Find(LabelsOf(query_type, protocol, client));
}

std::vector<prometheus::MetricFamily> DnsMeter::Collect() const {
  using prometheus::MetricType;
  auto requests = FamilyOf("istio_dns_requests_total", "Total number of DNS requests (unstable).",
                           MetricType::Counter);
  auto upstream = FamilyOf("istio_dns_upstream_requests_total",
                           "Total number of DNS requests forwarded to upstream (unstable).",
                           MetricType::Counter);
  auto failures =
      FamilyOf("istio_dns_upstream_failures_total",
               "Total number of DNS requests that failed to forward upstream (unstable).",
               MetricType::Counter);
  auto durations =
      FamilyOf("istio_dns_upstream_request_duration_seconds",
               "Total time in seconds Istio takes to get DNS response from upstream (unstable).",
               MetricType::Histogram);
  series_.ForEach([&](const Labels& labels, const DnsSeries& series) {
    auto add = [&labels](prometheus::MetricFamily& family, uint64_t value) {
      if (value == 0) return;
      family.metric.emplace_back().label = labels;
      family.metric.back().counter.value = static_cast<double>(value);
    };
    add(requests, series.requests_.load(kRelaxed));
    add(upstream, series.upstream_.load(kRelaxed));
    add(failures, series.failures_.load(kRelaxed));
    if (series.upstream_.load(kRelaxed) == 0) return;
    auto& metric = durations.metric.emplace_back();
    metric.label = labels;
    uint64_t count = 0;
    for (size_t i = 0; i < series.buckets_.size(); ++i) {
      count += series.buckets_[i].load(kRelaxed);
      const bool last = i == DnsSeries::kBounds.size();
      metric.histogram.bucket.push_back(
          {count, last ? std::numeric_limits<double>::infinity() : DnsSeries::kBounds[i]});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(series.nanoseconds_.load(kRelaxed)) / 1e9;
  });
  return {std::move(requests), std::move(upstream), std::move(failures), std::move(durations)};
}

}  // namespace ambit::telemetry
