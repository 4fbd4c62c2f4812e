#include "ztunnel-lite/proxy/connect_headers.h"

#include <algorithm>
#include <array>
#include <limits>

namespace ambit::proxy {
namespace {

// Of a Kubernetes name.
constexpr size_t kLongestValue = 253;

std::string_view WorkloadNameKey(state::WorkloadType type) {
  switch (type) {
    case state::WorkloadType::kDeployment:
      return "k8s.deployment.name";
    case state::WorkloadType::kCronJob:
      return "k8s.cronjob.name";
    case state::WorkloadType::kPod:
      return "k8s.pod.name";
    case state::WorkloadType::kJob:
      return "k8s.job.name";
  }
  std::unreachable();
}

// Where an item's value belongs; null for keys of others. The kind of a workload shows nowhere.
std::string* FieldOf(state::Workload& workload, std::string_view key) {
  using State = state::Workload;
  constexpr std::pair<std::string_view, std::string State::*> kFields[] = {
      {"k8s.cluster.name", &State::cluster_id},
      {"k8s.namespace.name", &State::ns},
      {"k8s.deployment.name", &State::workload_name},
      {"k8s.cronjob.name", &State::workload_name},
      {"k8s.pod.name", &State::workload_name},
      {"k8s.job.name", &State::workload_name},
      {"service.name", &State::canonical_name},
      {"service.version", &State::canonical_revision}};
  for (const auto& [name, field] : kFields) {
    if (key == name) return &(workload.*field);
  }
  if (key == "cloud.region") return &workload.locality.region;
  return key == "cloud.availability_zone" ? &workload.locality.zone : nullptr;
}

void AppendItem(std::string& baggage, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  if (!baggage.empty()) baggage += ',';
  baggage += key;
  baggage += '=';
  baggage += value;
}

void AppendHex(std::string& text, uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(value >> shift) & 0xf];
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsPrintableAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '\t' || (c >= 0x20 && c < 0x7f); });
}

}  // namespace

std::string BaggageOf(const state::Workload& workload) {
  std::string baggage;
  AppendItem(baggage, "k8s.cluster.name", workload.cluster_id);
  AppendItem(baggage, "k8s.namespace.name", workload.ns);
  AppendItem(baggage, WorkloadNameKey(workload.workload_type), workload.workload_name);
  AppendItem(baggage, "service.name", workload.canonical_name);
  AppendItem(baggage, "service.version", workload.canonical_revision);
  AppendItem(baggage, "cloud.region", workload.locality.region);
  AppendItem(baggage, "cloud.availability_zone", workload.locality.zone);
  return baggage;
}

state::WorkloadPtr WorkloadOfBaggage(std::string_view baggage, std::string_view identity) {
  if (!IsPrintableAscii(baggage)) return nullptr;
  auto workload = std::make_shared<state::Workload>();
  workload->cluster_id.clear();
  bool known = false;
  while (!baggage.empty()) {
    size_t end = std::min(baggage.find(','), baggage.size());
    std::string_view item = baggage.substr(0, end);
    baggage.remove_prefix(std::min(end + 1, baggage.size()));
    size_t equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = item.substr(equals + 1);
    std::string* field = FieldOf(*workload, Trim(item.substr(0, equals)));
    if (field == nullptr || value.size() > kLongestValue) continue;
    *field = value.substr(0, value.find('='));
    known = true;
  }
  if (!known) return nullptr;
  if (auto certified = state::Identity::Parse(identity)) {
    workload->trust_domain = certified->trust_domain;
    workload->ns = certified->ns;
    workload->service_account = certified->service_account;
  }
  return workload;
}

std::string ForwardedHeader(const net::Endpoint& client, std::string_view service_hostname) {
  std::string value = "for=\"" + client.ToString() + "\"";
  if (!service_hostname.empty()) {
    value += ";host=";
    value += service_hostname;
  }
  return value;
}

std::string ForwardedHost(std::string_view forwarded) {
  if (!IsPrintableAscii(forwarded)) return {};
  constexpr std::string_view kHost = "host=";
  while (!forwarded.empty()) {
    size_t end = std::min(forwarded.find(';'), forwarded.size());
    std::string_view part = Trim(forwarded.substr(0, end));
    if (part.starts_with(kHost)) {
      part.remove_prefix(kHost.size());
      if (part.size() >= 2 && part.front() == '"' && part.back() == '"') {
        part = part.substr(1, part.size() - 2);
      }
      return std::string(part);
    }
    forwarded.remove_prefix(std::min(end + 1, forwarded.size()));
  }
  return {};
}

std::string MakeTraceparent(Random& random) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  std::string value = "00-";
  value.reserve(55);
  AppendHex(value, random.Below(kMax));
  AppendHex(value, random.Below(kMax));
  value += '-';
  // An id of all zeros is invalid by the specification.
  AppendHex(value, random.Below(kMax) + 1);
  value += "-00";
  return value;
}

}  // namespace ambit::proxy
