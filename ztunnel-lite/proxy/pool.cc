#include "ztunnel-lite/proxy/pool.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cassert>

namespace ambit::proxy {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

struct Pool::Tunnel {
  std::shared_ptr<hbone::ClientTunnel> client;
  Group* group = nullptr;  // null once it is no longer given out
  uint32_t leases = 0;
  bool proven = false;
  Clock::time_point unused_since{};
};

struct Pool::Waiter {
  explicit Waiter(asio::io_context& io) : timer(io) {}
  asio::steady_timer timer;
  std::optional<Outcome<Lease>> outcome;
};

struct Pool::Group {
  const PoolKey* key = nullptr;
  std::vector<std::shared_ptr<Tunnel>> tunnels;
  std::deque<std::shared_ptr<Waiter>> waiters;
  size_t dials = 0;
};

Pool::Lease::Lease(Pool* pool, std::shared_ptr<Tunnel> tunnel)
    : pool_(pool), tunnel_(std::move(tunnel)), proven_(tunnel_->proven) {
  ++tunnel_->leases;
}

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      tunnel_(std::move(other.tunnel_)),
      proven_(other.proven_) {}

Pool::Lease& Pool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  Release();
  pool_ = std::exchange(other.pool_, nullptr);
  tunnel_ = std::move(other.tunnel_);
  proven_ = other.proven_;
  return *this;
}

Pool::Lease::~Lease() { Release(); }

void Pool::Lease::Release() {
  if (!tunnel_) return;
  auto tunnel = std::move(tunnel_);
  --tunnel->leases;
  pool_->Return(tunnel);
}

hbone::ClientTunnel& Pool::Lease::tunnel() const { return *tunnel_->client; }

void Pool::Lease::MarkProven() { tunnel_->proven = true; }

Pool::Pool(asio::io_context& io, TunnelDialer& dialer, Options options, Spawn spawn)
    : io_(io), dialer_(dialer), options_(options), spawn_(std::move(spawn)), sweep_timer_(io) {}

Pool::~Pool() {
  *alive_ = false;
  Close();
}

uint32_t Pool::LimitOf(const Tunnel& tunnel) const {
  return std::min(options_.max_streams, tunnel.client->peer_max_streams());
}

void Pool::Drop(Tunnel& tunnel) {
  tunnel.group = nullptr;
  tunnel.client->Close();
}

std::shared_ptr<Pool::Tunnel> Pool::Pick(Group& group) {
  std::erase_if(group.tunnels, [](const std::shared_ptr<Tunnel>& tunnel) {
    if (tunnel->client->usable()) return false;
    Drop(*tunnel);
    return true;
  });
  for (const auto& tunnel : group.tunnels) {
    if (tunnel->leases < LimitOf(*tunnel)) return tunnel;
  }
  return nullptr;
}

void Pool::Grant(Waiter& waiter, std::shared_ptr<Tunnel> tunnel) {
  waiter.outcome.emplace(Lease(this, std::move(tunnel)));
  waiter.timer.cancel();
}

void Pool::FailWaiters(Group& group, const Failure& failure, size_t count) {
  for (; count > 0 && !group.waiters.empty(); --count) {
    auto waiter = std::move(group.waiters.front());
    group.waiters.pop_front();
    waiter->outcome.emplace(std::unexpected(failure));
    waiter->timer.cancel();
  }
}

void Pool::Pump(Group& group) {
  while (!group.waiters.empty()) {
    auto tunnel = Pick(group);
    if (!tunnel) break;
    auto waiter = std::move(group.waiters.front());
    group.waiters.pop_front();
    Grant(*waiter, std::move(tunnel));
  }
  size_t dials = 0;
  while (!closed_ && group.waiters.size() > group.dials * options_.max_streams) {
    ++group.dials;
    ++dials;
  }
  // A dial that fails at once takes the group with it: from here on only the key is safe.
  PoolKey key = *group.key;
  for (; dials > 0; --dials) spawn_(RunDial(key));
}

asio::awaitable<Outcome<Pool::Lease>> Pool::Acquire(PoolKey key, Interrupt& interrupt) {
  if (closed_ || interrupt.fired()) {
    co_return FailAt(Stage::kConnectTunnel, Error(ErrorCode::kCancelled, "the pod is stopping"));
  }
  auto [entry, added] = groups_.try_emplace(std::move(key));
  Group& group = entry->second;
  group.key = &entry->first;
  if (auto tunnel = Pick(group)) co_return Lease(this, std::move(tunnel));

  auto waiter = std::make_shared<Waiter>(io_);
  waiter->timer.expires_after(options_.wait_timeout);
  group.waiters.push_back(waiter);
  Pump(group);
  if (!waiter->outcome) {
    Interrupt::Scope scope(interrupt, [waiter] { waiter->timer.cancel(); });
    co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (waiter->outcome) co_return std::move(*waiter->outcome);
  // Still queued, so that the group still exists.
  std::erase(group.waiters, waiter);
  std::string target = group.key->next_hop.ToString();
  EraseIfEmpty(*group.key);
  if (interrupt.fired()) {
    co_return FailAt(Stage::kConnectTunnel, Error(ErrorCode::kCancelled, "the pod is stopping"));
  }
  co_return FailAt(
      Stage::kHandshake,
      Error(ErrorCode::kTimedOut, "no tunnel to " + target + " had a free stream in time"));
}

asio::awaitable<void> Pool::RunDial(PoolKey key) {
  Interrupt interrupt;
  dials_.push_back(&interrupt);
  auto made = co_await dialer_.DialTunnel(key, interrupt);
  std::erase(dials_, &interrupt);
  Group& group = groups_.at(key);
  --group.dials;
  if (made && closed_) {
    (*made)->Close();
  } else if (made) {
    group.tunnels.push_back(std::make_shared<Tunnel>(
        Tunnel{.client = std::move(*made), .group = &group, .unused_since = Clock::now()}));
    ArmSweep(Clock::now() + options_.unused_release);
  } else {
    // Those that this dial was for; the last one speaks for all that are left.
    FailWaiters(group, made.error(),
                group.dials == 0 ? group.waiters.size() : options_.max_streams);
  }
  Pump(group);
  EraseIfEmpty(key);
}

void Pool::Return(const std::shared_ptr<Tunnel>& tunnel) {
  if (tunnel->group == nullptr) return;
  if (tunnel->leases == 0) tunnel->unused_since = Clock::now();
  if (!tunnel->group->waiters.empty()) Pump(*tunnel->group);
}

void Pool::EraseIfEmpty(const PoolKey& key) {
  auto at = groups_.find(key);
  if (at == groups_.end()) return;
  const Group& group = at->second;
  if (group.tunnels.empty() && group.waiters.empty() && group.dials == 0) groups_.erase(at);
}

void Pool::Close() {
  if (closed_) return;
  closed_ = true;
  sweep_timer_.cancel();
  for (Interrupt* dial : dials_) dial->Fire();
  const Failure stopping{Error(ErrorCode::kCancelled, "the pod is stopping"),
                         telemetry::Flag::kNone};
  for (auto& [key, group] : groups_) {
    FailWaiters(group, stopping, group.waiters.size());
    for (const auto& tunnel : group.tunnels) Drop(*tunnel);
    group.tunnels.clear();
  }
}

size_t Pool::tunnel_count() const {
  size_t count = 0;
  for (const auto& [key, group] : groups_) count += group.tunnels.size();
  return count;
}

void Pool::ArmSweep(Clock::time_point when) {
  if (sweep_armed_ || closed_) return;
  sweep_armed_ = true;
  sweep_timer_.expires_at(when);
  sweep_timer_.async_wait([this, alive = alive_](const boost::system::error_code& stopped) {
    if (stopped || !*alive) return;
    sweep_armed_ = false;
    Sweep();
  });
}

void Pool::Sweep() {
  if (closed_) return;
  const auto now = Clock::now();
  auto next = Clock::time_point::max();
  for (auto entry = groups_.begin(); entry != groups_.end();) {
    auto& [key, group] = *entry++;
    std::erase_if(group.tunnels, [&](const std::shared_ptr<Tunnel>& tunnel) {
      auto end = (tunnel->leases == 0 ? tunnel->unused_since : now) + options_.unused_release;
      if (tunnel->client->usable() && end > now) {
        next = std::min(next, end);
        return false;
      }
      Drop(*tunnel);
      return true;
    });
    EraseIfEmpty(key);
  }
  if (next != Clock::time_point::max()) ArmSweep(next);
}

}  // namespace ambit::proxy
