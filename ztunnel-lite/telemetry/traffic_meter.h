#pragma once

#include "lib/base/clock.h"
#include "lib/observe/log.h"
#include "lib/observe/metrics.h"
#include "ztunnel-lite/telemetry/dns_meter.h"
#include "ztunnel-lite/telemetry/error_summary.h"
#include "ztunnel-lite/telemetry/known_workloads.h"
#include "ztunnel-lite/telemetry/open_connections.h"
#include "ztunnel-lite/telemetry/resolution_meter.h"
#include "ztunnel-lite/telemetry/series.h"
#include "ztunnel-lite/telemetry/traffic.h"

namespace ambit::telemetry {

// The registry that is scraped: what prometheus-cpp holds, and the series of traffic and DNS.
// Metrics  ambit_series, ambit_series_{evicted,expired,overflowed}_total, by table.
class MetricsRegistry : public prometheus::Registry {
 public:
  // Of traffic; there are a quarter as many of DNS.
  explicit MetricsRegistry(size_t series_bound = SeriesTable::kDefaultBound)
      : traffic_(series_bound), dns_(series_bound / 4) {}

  std::vector<prometheus::MetricFamily> Collect() const override;
  SeriesTable& traffic() { return traffic_; }
  DnsMeter& dns() { return dns_; }
  ResolutionMeter& resolutions() { return resolutions_; }
  // Removes the series of workloads that were not among `known` at any call for at least `keep`.
  void ExpireSeries(const KnownWorkloads& known, std::chrono::steady_clock::time_point now,
                    std::chrono::milliseconds keep);

 private:
  std::vector<prometheus::MetricFamily> CollectCounts() const;

  SeriesTable traffic_;
  DnsMeter dns_;
  ResolutionMeter resolutions_;
};

// Traffic that counts and logs.
class TrafficMeter : public Traffic {
 public:
  // All outlive the meter and its records.
  TrafficMeter(MetricsRegistry& registry, observe::Log& log, const Clock& clock);

  std::unique_ptr<ConnectionRecord> Open(ConnectionInfo info) override;
  void EarlyDeny(Reporter reporter, const net::Endpoint& source, const net::Endpoint& destination,
                 const Error& error) override;
  // Those that are open now, oldest first. Any thread.
  std::vector<OpenConnection> ListOpen() const { return open_.List(clock_.Steady()); }
  // What failed since the last summary. Any thread.
  ErrorSummary& errors() { return errors_; }
  void SocketOpened(Reporter reporter) override { SocketsOf(reporter).Increment(); }
  void SocketClosed(Reporter reporter) override { SocketsOf(reporter).Decrement(); }

 private:
  prometheus::Gauge& SocketsOf(Reporter reporter) {
    return reporter == Reporter::kSource ? source_sockets_ : destination_sockets_;
  }

  SeriesTable& series_;
  observe::Log& log_;
  const Clock& clock_;
  OpenConnections open_;
  ErrorSummary errors_;
  prometheus::Gauge& source_sockets_;
  prometheus::Gauge& destination_sockets_;
};

}  // namespace ambit::telemetry
