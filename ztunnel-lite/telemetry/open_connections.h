#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "ztunnel-lite/telemetry/traffic.h"

// Purpose  the connections that are open now, for whoever looks at the tunnel.
// Threads  any; a connection takes the lock when it opens and when it ends, never in between.
namespace ambit::telemetry {

// What its worker writes while others may read.
struct LiveConnection {
  ConnectionInfo info;
  std::chrono::steady_clock::time_point start;
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> sent{0};
};

// One connection at the moment somebody asked.
struct OpenConnection {
  std::shared_ptr<const ConnectionInfo> info;
  uint64_t received = 0;  // client to server, whichever side reports
  uint64_t sent = 0;
  std::chrono::milliseconds age{0};
};

class OpenConnections {
 public:
  using Place = std::list<std::shared_ptr<const LiveConnection>>::iterator;

  Place Add(std::shared_ptr<const LiveConnection> connection);
  void Remove(Place place);
  // Oldest first. Holds the lock only to copy pointers.
  std::vector<OpenConnection> List(std::chrono::steady_clock::time_point now) const;

 private:
  mutable std::mutex mutex_;
  std::list<std::shared_ptr<const LiveConnection>> connections_;
};

}  // namespace ambit::telemetry
