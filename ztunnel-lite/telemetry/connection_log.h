#pragma once

#include <chrono>
#include <cstdint>

#include "lib/observe/log.h"
#include "ztunnel-lite/telemetry/traffic.h"

// Purpose  the lines of the access log (scope access).
namespace ambit::telemetry {

struct ConnectionEnd {
  uint64_t received = 0;  // client to server
  uint64_t sent = 0;      // server to client
  std::chrono::milliseconds duration{0};
  const Error* error = nullptr;
};

void LogOpened(observe::Log& log, const ConnectionInfo& info);
void LogComplete(observe::Log& log, const ConnectionInfo& info, const ConnectionEnd& end);
void LogEarlyDeny(observe::Log& log, Reporter reporter, const net::Endpoint& source,
                  const net::Endpoint& destination, const Error& error);

}  // namespace ambit::telemetry
