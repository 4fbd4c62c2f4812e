#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/unique_fd.h"
#include "lib/net/netns.h"
#include "node-agent/zds/codec.h"

// Purpose  which pods the tunnels should serve, what each connected tunnel has been told, and so
//          which message each of them gets next. No queue: the next message is the difference
//          between the two, so that nothing is lost when a tunnel goes and nothing can pile up.
// Threads  one. No I/O, no clock.
// Source   facts of the protocol: docs/zds.md.
namespace ambit::zds {

struct Workload {
  std::string uid;
  WorkloadIdentity identity{};
  // Null while the agent does not know it; then a snapshot says `keep`.
  std::shared_ptr<const UniqueFd> netns{};
  net::NetnsId netns_id{};
};

struct Request {
  enum class Kind : uint8_t { kAdd, kKeep, kDelete, kSnapshotSent };
  Kind kind = Kind::kAdd;
  Workload workload{};  // only the uid for kDelete and kKeep, nothing for kSnapshotSent
};

class Roster {
 public:
  // Grows with every connection, so the largest is the newest.
  using ConnectionId = uint64_t;

  // The pod should be served. Told again with the same values, tunnels that acknowledged it are
  // left alone and one that refused it is asked again.
  void Set(Workload workload);
  // The pod should not be served; every tunnel that was told of it hears of it.
  void Remove(const std::string& uid);

  // A tunnel has said hello.
  ConnectionId Connect();
  void Disconnect(ConnectionId id);

  // What to send now; from then until Answered the connection has this one message in flight.
  // Nullopt: one is in flight already, or the tunnel has all it should have.
  std::optional<Request> Next(ConnectionId id);
  // The answer to the message in flight; `refusal` is empty when it was acknowledged.
  // Errors  kProtocol: nothing was in flight, or the end of the snapshot was refused.
  Result<void> Answered(ConnectionId id, const std::string& refusal);

  // The tunnel that gets adds: the newest that has acknowledged its whole snapshot.
  std::optional<ConnectionId> newest() const;

  enum class Verdict : uint8_t { kPending, kServed, kRefused };
  // What the newest tunnel says about the pod as it was Set last.
  Verdict VerdictOf(const std::string& uid) const;
  // Its words, when kRefused.
  std::string RefusalOf(const std::string& uid) const;
  size_t size() const { return wanted_.size(); }

 private:
  struct Wanted {
    Workload workload;
    uint64_t version = 0;
  };
  enum class Told : uint8_t { kAcknowledged, kRefused, kKept };
  struct Entry {
    uint64_t version = 0;
    Told told = Told::kAcknowledged;
    std::string refusal;
  };
  struct InFlight {
    Request request;
    uint64_t version = 0;
  };
  struct Connection {
    std::map<std::string, Entry> told;
    std::optional<InFlight> in_flight;
    bool snapshot_done = false;
  };

  const Entry* NewestEntry(const std::string& uid) const;
  std::optional<InFlight> Difference(ConnectionId id, const Connection& connection) const;
  static bool HasCurrent(const Connection& connection, const Wanted& wanted);

  std::map<std::string, Wanted> wanted_;
  std::map<ConnectionId, Connection> connections_;
  uint64_t last_version_ = 0;
  ConnectionId last_connection_ = 0;
};

}  // namespace ambit::zds
