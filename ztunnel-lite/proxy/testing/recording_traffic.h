#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "ztunnel-lite/telemetry/traffic.h"

namespace ambit::proxy::testing {

// Keeps what connections report. Thread  any.
class RecordingTraffic : public telemetry::Traffic {
 public:
  struct Ended {
    telemetry::ConnectionInfo info;
    telemetry::Flag flag = telemetry::Flag::kNone;
    std::string error;      // empty: success
    bool finished = false;  // false: destroyed without an end, cut by a drain
    uint64_t received = 0;
    uint64_t sent = 0;
  };
  struct Denied {
    telemetry::Reporter reporter;
    net::Endpoint source;
    net::Endpoint destination;
    std::string error;
  };

  std::unique_ptr<telemetry::ConnectionRecord> Open(telemetry::ConnectionInfo info) override;
  void EarlyDeny(telemetry::Reporter reporter, const net::Endpoint& source,
                 const net::Endpoint& destination, const Error& error) override;
  void SocketOpened(telemetry::Reporter reporter) override;
  void SocketClosed(telemetry::Reporter reporter) override;

  // The first that `reporter` ended resp. denied; waits up to 10 s, then fails the test.
  Ended WaitEnded(telemetry::Reporter reporter);
  Denied WaitDenied(telemetry::Reporter reporter);
  // Until that many are open.
  bool WaitOpen(telemetry::Reporter reporter, int count);
  int sockets_open();
  size_t ended_count();
  void Clear();

 private:
  class Record;
  void End(Ended ended);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Ended> ended_;
  std::vector<Denied> denied_;
  int open_[2] = {};
  int sockets_ = 0;
};

}  // namespace ambit::proxy::testing
