#include "ztunnel-lite/telemetry/traffic_meter.h"

#include <tuple>
#include <utility>

#include "ztunnel-lite/telemetry/connection_log.h"
#include "ztunnel-lite/telemetry/labels.h"

namespace ambit::telemetry {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

prometheus::Gauge& SocketGauge(prometheus::Registry& registry, const char* reporter) {
  return prometheus::BuildGauge()
      .Name("istio_tcp_sockets_open")
      .Help("The current number of open TCP sockets (unstable).")
      .Register(registry)
      .Add({{"reporter", reporter}});
}

// The one thread that writes it needs no read-modify-write that others could come between.
void AddTo(std::atomic<uint64_t>& total, uint64_t bytes) {
  total.store(total.load(kRelaxed) + bytes, kRelaxed);
}

// As an operator calls it.
std::string DestinationOf(const ConnectionInfo& info) {
  if (info.destination_service) return info.destination_service->hostname;
  if (const auto* workload = info.destination_workload.get()) {
    return workload->name + "." + workload->ns;
  }
  return info.destination.ToString();
}

class MeteredRecord : public ConnectionRecord {
 public:
  MeteredRecord(ConnectionInfo info, SeriesTable& table, OpenConnections& open,
                ErrorSummary& errors, observe::Log& log, const Clock& clock)
      : table_(table),
        open_(open),
        errors_(errors),
        log_(log),
        clock_(clock),
        live_(std::make_shared<LiveConnection>(std::move(info), clock.Steady())),
        place_(open_.Add(live_)),
        series_(table.Find(live_->info, Flag::kNone)) {
    series_->opened.fetch_add(1, kRelaxed);
    LogOpened(log_, live_->info);
  }
  ~MeteredRecord() override {
    if (!finished_) Finish(Flag::kNone, Error(ErrorCode::kCancelled, "closed due to drain"));
  }
  MeteredRecord(const MeteredRecord&) = delete;
  MeteredRecord& operator=(const MeteredRecord&) = delete;

  void AddBytes(uint64_t received, uint64_t sent) override {
    AddTo(live_->received, received);
    AddTo(live_->sent, sent);
    if (received != 0) series_->received_bytes.fetch_add(received, kRelaxed);
    if (sent != 0) series_->sent_bytes.fetch_add(sent, kRelaxed);
  }
  void FinishOk() override {
    if (!finished_) Finish(Flag::kNone, std::nullopt);
  }
  void FinishError(Flag flag, const Error& error) override {
    if (finished_) return;
    errors_.Count(FlagText(flag), DestinationOf(live_->info), error);
    Finish(flag, error);
  }

 private:
  void Finish(Flag flag, const std::optional<Error>& error) {
    finished_ = true;
    open_.Remove(place_);
    auto series = flag == Flag::kNone ? series_ : table_.Find(live_->info, flag);
    series->closed.fetch_add(1, kRelaxed);
    if (flag != Flag::kNone) series->failed.fetch_add(1, kRelaxed);
    auto duration =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Steady() - live_->start);
    LogComplete(log_, live_->info,
                {live_->received, live_->sent, duration, error ? &*error : nullptr});
  }

  SeriesTable& table_;
  OpenConnections& open_;
  ErrorSummary& errors_;
  observe::Log& log_;
  const Clock& clock_;
  const std::shared_ptr<LiveConnection> live_;
  const OpenConnections::Place place_;
  const std::shared_ptr<Series> series_;
  bool finished_ = false;
};

}  // namespace

std::vector<prometheus::MetricFamily> MetricsRegistry::Collect() const {
  auto families = prometheus::Registry::Collect();
  for (auto own : {traffic_.Collect(), dns_.Collect(), CollectCounts()}) {
    families.insert(families.end(), std::make_move_iterator(own.begin()),
                    std::make_move_iterator(own.end()));
  }
  families.push_back(resolutions_.Collect());
  return families;
}

std::vector<prometheus::MetricFamily> MetricsRegistry::CollectCounts() const {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> families(4);
  const std::tuple<const char*, const char*, MetricType> shapes[] = {
      {"ambit_series", "Series of metrics that are held now.", MetricType::Gauge},
      {"ambit_series_evicted_total", "Series that made room for others at the bound.",
       MetricType::Counter},
      {"ambit_series_expired_total", "Series of workloads that were gone.", MetricType::Counter},
      {"ambit_series_overflowed_total",
       "Times that a series had no room and the one named overflow was used.",
       MetricType::Counter}};
  for (size_t i = 0; i < families.size(); ++i) {
    std::tie(families[i].name, families[i].help, families[i].type) = shapes[i];
  }
  for (const auto& [table, counts] :
       {std::pair("traffic", traffic_.table().counts()), std::pair("dns", dns_.table().counts())}) {
    for (auto& family : families) {
      family.metric.emplace_back().label = {{"table", table}};
    }
    families[0].metric.back().gauge.value = static_cast<double>(counts.now);
    families[1].metric.back().counter.value = static_cast<double>(counts.evicted);
    families[2].metric.back().counter.value = static_cast<double>(counts.expired);
    families[3].metric.back().counter.value = static_cast<double>(counts.overflowed);
  }
  return families;
}

void MetricsRegistry::ExpireSeries(const KnownWorkloads& known,
                                   std::chrono::steady_clock::time_point now,
                                   std::chrono::milliseconds keep) {
  auto gone = [&known](const Labels& labels) { return known.IsGone(labels); };
  traffic_.table().Expire(now, keep, gone);
  dns_.table().Expire(now, keep, gone);
}

TrafficMeter::TrafficMeter(MetricsRegistry& registry, observe::Log& log, const Clock& clock)
    : series_(registry.traffic()),
      log_(log),
      clock_(clock),
      source_sockets_(SocketGauge(registry, "source")),
      destination_sockets_(SocketGauge(registry, "destination")) {}

std::unique_ptr<ConnectionRecord> TrafficMeter::Open(ConnectionInfo info) {
  return std::make_unique<MeteredRecord>(std::move(info), series_, open_, errors_, log_, clock_);
}

void TrafficMeter::EarlyDeny(Reporter reporter, const net::Endpoint& source,
                             const net::Endpoint& destination, const Error& error) {
  errors_.Count("DENIED", destination.ToString(), error);
  LogEarlyDeny(log_, reporter, source, destination, error);
}

}  // namespace ambit::telemetry
