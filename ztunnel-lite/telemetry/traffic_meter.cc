#include "ztunnel-lite/telemetry/traffic_meter.h"

#include "ztunnel-lite/telemetry/connection_log.h"

namespace ambit::telemetry {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

prometheus::Gauge& SocketGauge(prometheus::Registry& registry, const char* reporter) {
  return prometheus::BuildGauge()
      .Name("istio_tcp_sockets_open")
      .Help("The number of downstream TCP sockets currently open.")
      .Register(registry)
      .Add({{"reporter", reporter}});
}

// The one thread that writes it needs no read-modify-write that others could come between.
void AddTo(std::atomic<uint64_t>& total, uint64_t bytes) {
  total.store(total.load(kRelaxed) + bytes, kRelaxed);
}

class MeteredRecord : public ConnectionRecord {
 public:
  MeteredRecord(ConnectionInfo info, SeriesTable& table, OpenConnections& open, observe::Log& log,
                const Clock& clock)
      : table_(table),
        open_(open),
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
    if (!finished_) Finish(flag, error);
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
  for (auto own : {traffic_.Collect(), dns_.Collect()}) {
    families.insert(families.end(), std::make_move_iterator(own.begin()),
                    std::make_move_iterator(own.end()));
  }
  return families;
}

TrafficMeter::TrafficMeter(MetricsRegistry& registry, observe::Log& log, const Clock& clock)
    : series_(registry.traffic()),
      log_(log),
      clock_(clock),
      source_sockets_(SocketGauge(registry, "source")),
      destination_sockets_(SocketGauge(registry, "destination")) {}

std::unique_ptr<ConnectionRecord> TrafficMeter::Open(ConnectionInfo info) {
  return std::make_unique<MeteredRecord>(std::move(info), series_, open_, log_, clock_);
}

void TrafficMeter::EarlyDeny(Reporter reporter, const net::Endpoint& source,
                             const net::Endpoint& destination, const Error& error) {
  LogEarlyDeny(log_, reporter, source, destination, error);
}

}  // namespace ambit::telemetry
