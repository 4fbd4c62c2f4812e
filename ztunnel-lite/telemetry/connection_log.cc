#include "ztunnel-lite/telemetry/connection_log.h"

#include <array>
#include <string>

namespace ambit::telemetry {

namespace {

constexpr char kScope[] = "access";

std::string_view DirectionOf(Reporter reporter) {
  return reporter == Reporter::kSource ? "outbound" : "inbound";
}

// Fields in the order of the line; texts that are not there are left out.
class Fields {
 public:
  void Add(std::string_view key, std::string_view text) {
    if (!text.empty()) Push({key, text});
  }
  void Bare(std::string_view key, std::string_view text) { Push({key, observe::Bare{text}}); }
  void Number(std::string_view key, uint64_t value) { Push({key, static_cast<int64_t>(value)}); }
  std::span<const observe::Field> span() const { return {fields_.data(), count_}; }

 private:
  void Push(const observe::Field& field) { fields_[count_++] = field; }

  std::array<observe::Field, 20> fields_{};
  size_t count_ = 0;
};

std::string_view NameOf(const state::Workload& workload) {
  return workload.name.empty() ? workload.canonical_name : workload.name;
}

struct Addresses {
  explicit Addresses(const ConnectionInfo& info)
      : source(info.source.ToString()), destination(info.destination.ToString()) {}
  std::string source, destination;
};

void AddConnection(Fields& fields, const ConnectionInfo& info, const Addresses& addresses) {
  fields.Bare("src.addr", addresses.source);
  if (const auto* source = info.source_workload.get()) {
    fields.Add("src.workload", NameOf(*source));
    fields.Add("src.namespace", source->ns);
  }
  if (info.mutual_tls) fields.Add("src.identity", info.source_identity);
  if (info.source_workload) fields.Add("src.cluster", info.source_workload->cluster_id);
  fields.Bare("dst.addr", addresses.destination);
  if (info.hbone_authority) fields.Bare("dst.hbone_addr", *info.hbone_authority);
  if (info.destination_service) fields.Add("dst.service", info.destination_service->hostname);
  if (const auto* destination = info.destination_workload.get()) {
    fields.Add("dst.workload", NameOf(*destination));
    fields.Add("dst.namespace", destination->ns);
  }
  if (info.mutual_tls) fields.Add("dst.identity", info.destination_identity);
  if (info.destination_workload) fields.Add("dst.cluster", info.destination_workload->cluster_id);
  fields.Add("direction", DirectionOf(info.reporter));
}

}  // namespace

void LogOpened(observe::Log& log, const ConnectionInfo& info) {
  if (!log.Enabled(observe::Level::kDebug, kScope)) return;
  Addresses addresses(info);
  Fields fields;
  AddConnection(fields, info, addresses);
  log.Write(observe::Level::kDebug, kScope, "connection opened", fields.span());
}

void LogComplete(observe::Log& log, const ConnectionInfo& info, const ConnectionEnd& end) {
  auto level = end.error != nullptr ? observe::Level::kError : observe::Level::kInfo;
  if (!log.Enabled(level, kScope)) return;
  Addresses addresses(info);
  std::string duration = std::to_string(end.duration.count()) + "ms";
  Fields fields;
  AddConnection(fields, info, addresses);
  // As the app beside us sees it: what it sent, what it received.
  bool outbound = info.reporter == Reporter::kSource;
  fields.Number("bytes_sent", outbound ? end.received : end.sent);
  fields.Number("bytes_recv", outbound ? end.sent : end.received);
  fields.Add("duration", duration);
  if (end.error != nullptr) fields.Add("error", end.error->message());
  log.Write(level, kScope, "connection complete", fields.span());
}

void LogEarlyDeny(observe::Log& log, Reporter reporter, const net::Endpoint& source,
                  const net::Endpoint& destination, const Error& error) {
  if (!log.Enabled(observe::Level::kWarn, kScope)) return;
  std::string from = source.ToString();
  std::string to = destination.ToString();
  Fields fields;
  fields.Bare("src.addr", from);
  fields.Bare("dst.addr", to);
  fields.Add("direction", DirectionOf(reporter));
  fields.Add("error", error.message());
  log.Write(observe::Level::kWarn, kScope, "connection failed", fields.span());
}

}  // namespace ambit::telemetry
