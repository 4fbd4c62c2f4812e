#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/base/error.h"
#include "lib/net/address.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  TCP metrics and the access log: what every connection of the data path reports.
// Threads  Traffic from any worker; a ConnectionRecord belongs to its connection's worker.
// Metrics  istio_tcp_connections_{opened,closed,failed}_total,
// istio_tcp_{sent,received}_bytes_total,
//          istio_tcp_sockets_open.
namespace ambit::telemetry {

enum class Reporter : uint8_t { kSource, kDestination };  // outbound, inbound

// Why a connection failed, as the response_flags label says it.
enum class Flag : uint8_t {
  kNone,
  kDeny,
  kConnect,
  kTlsFailure,
  kH2HandshakeFailure,
  kNetworkPolicy,
  kIdentityError,
  kCertRevoked,
};

struct ConnectionInfo {
  Reporter reporter = Reporter::kSource;
  net::Endpoint source;
  net::Endpoint destination;  // what was dialled: next hop, or pod:15008
  std::optional<std::string> hbone_authority;
  // What the app asked for: outbound where it connected to, inbound the host that the other side
  // says it named, empty if it says none.
  std::string called;
  state::WorkloadPtr source_workload;  // null: unknown
  state::WorkloadPtr destination_workload;
  state::ServicePtr destination_service;
  std::string source_identity;  // SPIFFE URI, empty in plaintext
  std::string destination_identity;
  bool mutual_tls = false;
  bool through_gateway = false;  // a tunnel inside the one to another network's gateway
};

// One connection from the routing decision to its end. Destroying it without Finish counts as cut
// by a drain.
class ConnectionRecord {
 public:
  virtual ~ConnectionRecord() = default;
  // Cheap: two atomic adds on series found at the start. `received` is client to server, `sent`
  // server to client, whichever side reports.
  virtual void AddBytes(uint64_t received, uint64_t sent) = 0;
  virtual void FinishOk() = 0;
  virtual void FinishError(Flag flag, const Error& error) = 0;
};

class Traffic {
 public:
  virtual ~Traffic() = default;
  virtual std::unique_ptr<ConnectionRecord> Open(ConnectionInfo info) = 0;
  // Refused before routing had an answer: a log line, no connection metrics.
  virtual void EarlyDeny(Reporter reporter, const net::Endpoint& source,
                         const net::Endpoint& destination, const Error& error) = 0;
  virtual void SocketOpened(Reporter reporter) = 0;
  virtual void SocketClosed(Reporter reporter) = 0;
};

}  // namespace ambit::telemetry
