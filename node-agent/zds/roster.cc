#include "node-agent/zds/roster.h"

#include <utility>

namespace ambit::zds {
namespace {

bool SameWorkload(const Workload& a, const Workload& b) {
  return a.identity == b.identity && a.netns_id == b.netns_id &&
         (a.netns == nullptr) == (b.netns == nullptr);
}

}  // namespace

void Roster::Set(Workload workload) {
  auto [found, inserted] = wanted_.try_emplace(workload.uid);
  Wanted& wanted = found->second;
  if (!inserted && SameWorkload(wanted.workload, workload)) {
    for (auto& [id, connection] : connections_) {
      auto entry = connection.told.find(workload.uid);
      // Version 0 is never wanted, so the pod is sent again; the entry stays, because a tunnel that
      // refused a pod still tries to serve it and must hear of its end.
      if (entry != connection.told.end() && entry->second.told == Told::kRefused) {
        entry->second.version = 0;
      }
    }
    return;
  }
  wanted.workload = std::move(workload);
  wanted.version = ++last_version_;
}

void Roster::Remove(const std::string& uid) { wanted_.erase(uid); }

Roster::ConnectionId Roster::Connect() {
  connections_.try_emplace(++last_connection_);
  return last_connection_;
}

void Roster::Disconnect(ConnectionId id) { connections_.erase(id); }

bool Roster::HasCurrent(const Connection& connection, const Wanted& wanted) {
  auto entry = connection.told.find(wanted.workload.uid);
  return entry != connection.told.end() && entry->second.version == wanted.version;
}

std::optional<Roster::InFlight> Roster::Difference(ConnectionId id,
                                                   const Connection& connection) const {
  for (const auto& [uid, entry] : connection.told) {
    if (wanted_.contains(uid)) continue;
    return InFlight{{Request::Kind::kDelete, {.uid = uid}}, entry.version};
  }
  if (connection.snapshot_done && newest() != id) return std::nullopt;
  for (const auto& [uid, wanted] : wanted_) {
    if (HasCurrent(connection, wanted)) continue;
    if (wanted.workload.netns != nullptr) {
      return InFlight{{Request::Kind::kAdd, wanted.workload}, wanted.version};
    }
    // After the snapshot a keep would end the tunnel's process.
    if (connection.snapshot_done) continue;
    return InFlight{{Request::Kind::kKeep, {.uid = uid}}, wanted.version};
  }
  if (!connection.snapshot_done) return InFlight{{Request::Kind::kSnapshotSent, {}}, 0};
  return std::nullopt;
}

std::optional<Request> Roster::Next(ConnectionId id) {
  auto found = connections_.find(id);
  if (found == connections_.end() || found->second.in_flight) return std::nullopt;
  found->second.in_flight = Difference(id, found->second);
  if (!found->second.in_flight) return std::nullopt;
  return found->second.in_flight->request;
}

Result<void> Roster::Answered(ConnectionId id, const std::string& refusal) {
  auto found = connections_.find(id);
  if (found == connections_.end() || !found->second.in_flight) {
    return Fail(ErrorCode::kProtocol, "the tunnel answered although nothing was asked");
  }
  Connection& connection = found->second;
  InFlight answered = *std::exchange(connection.in_flight, std::nullopt);
  const std::string& uid = answered.request.workload.uid;
  switch (answered.request.kind) {
    case Request::Kind::kSnapshotSent:
      if (!refusal.empty()) {
        return Fail(ErrorCode::kProtocol, "the tunnel refused the snapshot: " + refusal);
      }
      connection.snapshot_done = true;
      break;
    case Request::Kind::kDelete:
      // Also when refused: a tunnel that does not know the pod has nothing left to forget.
      connection.told.erase(uid);
      break;
    case Request::Kind::kKeep:
      connection.told[uid] = {answered.version, Told::kKept, {}};
      break;
    case Request::Kind::kAdd:
      connection.told[uid] = {answered.version,
                              refusal.empty() ? Told::kAcknowledged : Told::kRefused, refusal};
      break;
  }
  return {};
}

std::optional<Roster::ConnectionId> Roster::newest() const {
  for (auto it = connections_.rbegin(); it != connections_.rend(); ++it) {
    if (it->second.snapshot_done) return it->first;
  }
  return std::nullopt;
}

const Roster::Entry* Roster::NewestEntry(const std::string& uid) const {
  auto id = newest();
  auto wanted = wanted_.find(uid);
  if (!id || wanted == wanted_.end()) return nullptr;
  const Connection& connection = connections_.at(*id);
  return HasCurrent(connection, wanted->second) ? &connection.told.at(uid) : nullptr;
}

Roster::Verdict Roster::VerdictOf(const std::string& uid) const {
  const Entry* entry = NewestEntry(uid);
  if (entry == nullptr || entry->told == Told::kKept) return Verdict::kPending;
  return entry->told == Told::kRefused ? Verdict::kRefused : Verdict::kServed;
}

std::string Roster::RefusalOf(const std::string& uid) const {
  const Entry* entry = NewestEntry(uid);
  return entry == nullptr ? std::string() : entry->refusal;
}

}  // namespace ambit::zds
