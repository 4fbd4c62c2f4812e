#include "ztunnel-lite/telemetry/open_connections.h"

namespace ambit::telemetry {

OpenConnections::Place OpenConnections::Add(std::shared_ptr<const LiveConnection> connection) {
  std::list<std::shared_ptr<const LiveConnection>> added;
  added.push_back(std::move(connection));
  std::lock_guard lock(mutex_);
  connections_.splice(connections_.end(), added);
  return std::prev(connections_.end());
}

void OpenConnections::Remove(Place place) {
  std::list<std::shared_ptr<const LiveConnection>> removed;  // freed after the lock is
  std::lock_guard lock(mutex_);
  removed.splice(removed.end(), connections_, place);
}

std::vector<OpenConnection> OpenConnections::List(std::chrono::steady_clock::time_point now) const {
  std::vector<std::shared_ptr<const LiveConnection>> live;
  {
    std::lock_guard lock(mutex_);
    live.assign(connections_.begin(), connections_.end());
  }
  std::vector<OpenConnection> out;
  out.reserve(live.size());
  for (auto& connection : live) {
    out.push_back(
        {.info = {connection, &connection->info},
         .received = connection->received.load(std::memory_order_relaxed),
         .sent = connection->sent.load(std::memory_order_relaxed),
         .age = std::chrono::duration_cast<std::chrono::milliseconds>(now - connection->start)});
  }
  return out;
}

}  // namespace ambit::telemetry
