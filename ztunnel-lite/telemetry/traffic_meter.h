#pragma once

#include "lib/base/clock.h"
#include "lib/observe/log.h"
#include "lib/observe/metrics.h"
#include "ztunnel-lite/telemetry/dns_meter.h"
#include "ztunnel-lite/telemetry/open_connections.h"
#include "ztunnel-lite/telemetry/series.h"
#include "ztunnel-lite/telemetry/traffic.h"

namespace ambit::telemetry {

// The registry that is scraped: what prometheus-cpp holds, and the series of traffic and DNS.
class MetricsRegistry : public prometheus::Registry {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
  SeriesTable& traffic() { return traffic_; }
  DnsMeter& dns() { return dns_; }

 private:
  SeriesTable traffic_;
  DnsMeter dns_;
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
  prometheus::Gauge& source_sockets_;
  prometheus::Gauge& destination_sockets_;
};

}  // namespace ambit::telemetry
