#pragma once

#include <cstdint>
#include <expected>
#include <utility>

#include "lib/base/error.h"
#include "ztunnel-lite/telemetry/traffic.h"

// Purpose  the one table from what went wrong to what metrics, access log and peer are told.
// Threads  values.
namespace ambit::proxy {

// What a connection was doing when it failed.
enum class Stage : uint8_t {
  kCredential,     // own certificate
  kConnectTunnel,  // TCP to a peer's HBONE port
  kConnectPlain,   // TCP to an app or any other destination
  kHandshake,      // TLS and HTTP/2 set-up
  kAnswer,         // waiting for the answer to CONNECT
  kRelay,          // bytes were flowing
  kPolicy,         // authorization, at the start or after a change
};

struct Failure {
  Error error;
  telemetry::Flag flag = telemetry::Flag::kNone;
  // The peer was not reached, so that another endpoint may serve and nothing was sent twice.
  bool unreached = false;
};

template <typename T>
using Outcome = std::expected<T, Failure>;

telemetry::Flag FlagFor(Stage stage, ErrorCode code);
// Of bytes that were flowing.
telemetry::Flag FlagForRelay(const Error& error);
std::unexpected<Failure> FailAt(Stage stage, Error error);

// The status that refuses a CONNECT: for a route that was not found, and for all that comes later.
int StatusForRoute(ErrorCode code);
int StatusFor(const Failure& failure);

}  // namespace ambit::proxy
