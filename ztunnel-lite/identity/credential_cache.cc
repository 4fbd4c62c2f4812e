#include "ztunnel-lite/identity/credential_cache.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <map>
#include <random>
#include <shared_mutex>

#include "ztunnel-lite/xds/backoff.h"

namespace ambit::identity {

namespace asio = boost::asio;
using SystemTime = std::chrono::system_clock::time_point;

namespace {

constexpr char kScope[] = "identity";
constexpr auto kWait = std::chrono::seconds(10);
constexpr xds::Backoff::Options kRetry{std::chrono::seconds(1), std::chrono::seconds(150), 0.2};

// A connection that waits for the first credential of its identity. `timer` and `result` belong to
// the worker that waits.
struct Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : timer(executor, kWait) {}
  asio::steady_timer timer;
  std::optional<Result<tls::CredentialPtr>> result;
};

void Resume(const std::shared_ptr<Waiter>& waiter, Result<tls::CredentialPtr> result) {
  asio::post(waiter->timer.get_executor(), [waiter, result = std::move(result)] {
    waiter->result = result;
    waiter->timer.cancel();
  });
}

// Somebody waits, a pod has just come, or a renewal is due.
enum class Priority : uint8_t { kWaiting, kNew, kRenewal };

struct Entry {
  explicit Entry(asio::io_context& io) : timer(io) {}
  tls::CredentialPtr credential;
  std::optional<Error> error;
  std::vector<std::shared_ptr<Waiter>> waiters;
  // Control thread only.
  asio::steady_timer timer;
  xds::Backoff backoff{kRetry};
  std::optional<Priority> queued;
  bool asking = false;
};

}  // namespace

SystemTime RenewalTime(SystemTime now, SystemTime not_before, SystemTime not_after, double jitter) {
  auto life = not_after - not_before;
  auto moved = std::chrono::duration_cast<SystemTime::duration>(
      std::chrono::duration<double, SystemTime::period>(static_cast<double>(life.count()) *
                                                        (0.5 + jitter / 10)));
  return std::max(now, not_before + moved);
}

class CredentialCache::Impl : public std::enable_shared_from_this<CredentialCache::Impl> {
 public:
  Impl(Signer& signer, asio::io_context& control, const Clock& clock, observe::Log& log)
      : signer_(signer), control_(control), clock_(clock), log_(log) {}

  // What can be said at once; nullopt: wait.
  std::optional<Result<tls::CredentialPtr>> Known(const state::Identity& identity) const;
  void Wait(const state::Identity& identity, std::shared_ptr<Waiter> waiter);
  void Prefetch(const state::Identity& identity) {
    Enqueue(Find(identity), identity, Priority::kNew);
  }
  void Forget(const state::Identity& identity);
  void Shutdown();
  std::vector<Status> List() const;
  asio::io_context& control() { return control_; }

 private:
  using EntryPtr = std::shared_ptr<Entry>;

  EntryPtr Find(const state::Identity& identity);
  void Enqueue(const EntryPtr& entry, const state::Identity& identity, Priority priority);
  void StartNext();
  bool StartOne();
  void Done(const EntryPtr& entry, const state::Identity& identity,
            Result<tls::CredentialPtr> result);
  void Schedule(const EntryPtr& entry, const state::Identity& identity, SystemTime when);
  SystemTime Took(Entry& entry, const state::Identity& identity, tls::CredentialPtr credential);
  SystemTime Failed(Entry& entry, const state::Identity& identity, const Error& error);

  Signer& signer_;
  asio::io_context& control_;
  const Clock& clock_;
  observe::Log& log_;
  // Guards the map and what of an entry workers read: credential and error.
  mutable std::shared_mutex mutex_;
  std::map<state::Identity, EntryPtr> entries_;
  // Control thread only.
  struct Queued {
    state::Identity identity;
    std::weak_ptr<Entry> entry;
  };
  std::array<std::deque<Queued>, 3> queues_;
  int asking_ = 0;
  bool stopped_ = false;
  std::minstd_rand random_{std::random_device()()};
};

std::optional<Result<tls::CredentialPtr>> CredentialCache::Impl::Known(
    const state::Identity& identity) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(identity);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = *found->second;
  if (entry.credential && entry.credential->not_after() > clock_.Now()) return entry.credential;
  if (entry.error) {
    return Fail(ErrorCode::kUnavailable,
                "no certificate for " + identity.Uri() + ": " + entry.error->message());
  }
  return std::nullopt;
}

CredentialCache::Impl::EntryPtr CredentialCache::Impl::Find(const state::Identity& identity) {
  std::unique_lock lock(mutex_);
  EntryPtr& entry = entries_[identity];
  if (!entry) entry = std::make_shared<Entry>(control_);
  return entry;
}

void CredentialCache::Impl::Wait(const state::Identity& identity, std::shared_ptr<Waiter> waiter) {
  if (stopped_) {
    Resume(waiter, Fail(ErrorCode::kCancelled, "shutting down"));
    return;
  }
  // It may have come while this call was on its way to the control thread.
  if (auto known = Known(identity)) {
    Resume(waiter, std::move(*known));
    return;
  }
  EntryPtr entry = Find(identity);
  entry->waiters.push_back(std::move(waiter));
  Enqueue(entry, identity, Priority::kWaiting);
}

void CredentialCache::Impl::Enqueue(const EntryPtr& entry, const state::Identity& identity,
                                    Priority priority) {
  bool good = entry->credential && entry->credential->not_after() > clock_.Now();
  if (entry->asking || (good && priority == Priority::kNew)) return;
  if (entry->queued && *entry->queued <= priority) return;
  // An entry that moves to a better queue leaves its old place there to be skipped.
  entry->queued = priority;
  queues_[static_cast<size_t>(priority)].push_back({identity, entry});
  StartNext();
}

void CredentialCache::Impl::StartNext() {
  while (!stopped_ && asking_ < kMaxConcurrent && StartOne()) {
  }
}

bool CredentialCache::Impl::StartOne() {
  for (size_t i = 0; i < queues_.size(); ++i) {
    while (!queues_[i].empty()) {
      Queued next = std::move(queues_[i].front());
      queues_[i].pop_front();
      EntryPtr entry = next.entry.lock();
      if (!entry || entry->queued != static_cast<Priority>(i)) continue;
      entry->queued.reset();
      entry->asking = true;
      ++asking_;
      signer_.Sign(next.identity, [weak = weak_from_this(), entry,
                                   identity = next.identity](Result<tls::CredentialPtr> result) {
        if (auto self = weak.lock()) self->Done(entry, identity, std::move(result));
      });
      return true;
    }
  }
  return false;
}

void CredentialCache::Impl::Done(const EntryPtr& entry, const state::Identity& identity,
                                 Result<tls::CredentialPtr> result) {
  --asking_;
  entry->asking = false;
  auto found = entries_.find(identity);
  bool forgotten = found == entries_.end() || found->second != entry;
  if (!forgotten && !stopped_) {
    SystemTime next =
        result ? Took(*entry, identity, *result) : Failed(*entry, identity, result.error());
    auto answer = Known(identity);
    for (auto& waiter : std::exchange(entry->waiters, {})) {
      Resume(waiter, answer.value_or(Fail(ErrorCode::kUnavailable, "certificate is expired")));
    }
    Schedule(entry, identity, next);
  }
  StartNext();
}

SystemTime CredentialCache::Impl::Took(Entry& entry, const state::Identity& identity,
                                       tls::CredentialPtr credential) {
  if (entry.error) {
    log_.Info(kScope, "certificate obtained after failures", {{"identity", identity.Uri()}});
  }
  entry.backoff.Reset();
  double jitter = std::uniform_real_distribution<double>(-1, 1)(random_);
  SystemTime now = clock_.Now();
  SystemTime next = RenewalTime(now, credential->not_before(), credential->not_after(), jitter);
  std::unique_lock lock(mutex_);
  entry.credential = std::move(credential);
  entry.error.reset();
  // A CA whose certificates are born old must not be asked without pause.
  return std::max(next, now + kRetry.first);
}

SystemTime CredentialCache::Impl::Failed(Entry& entry, const state::Identity& identity,
                                         const Error& error) {
  SystemTime now = clock_.Now();
  SystemTime next = now + entry.backoff.Next();
  bool good = entry.credential && entry.credential->not_after() > now;
  if (good) next = std::min(next, entry.credential->not_after());
  std::string uri = identity.Uri();
  log_.Warn(kScope, good ? "certificate not renewed, the old one stays in use" : "no certificate",
            {{"identity", uri}, {"error", error.message()}});
  std::unique_lock lock(mutex_);
  entry.error = error;
  return next;
}

void CredentialCache::Impl::Schedule(const EntryPtr& entry, const state::Identity& identity,
                                     SystemTime when) {
  entry->timer.expires_after(std::max(when - clock_.Now(), SystemTime::duration::zero()));
  entry->timer.async_wait([weak = weak_from_this(), weak_entry = std::weak_ptr<Entry>(entry),
                           identity](const boost::system::error_code& error) {
    auto self = weak.lock();
    auto due = weak_entry.lock();
    if (!error && self && due) self->Enqueue(due, identity, Priority::kRenewal);
  });
}

void CredentialCache::Impl::Forget(const state::Identity& identity) {
  EntryPtr entry;
  {
    std::unique_lock lock(mutex_);
    auto found = entries_.find(identity);
    if (found == entries_.end()) return;
    entry = std::move(found->second);
    entries_.erase(found);
  }
  entry->timer.cancel();
  for (auto& waiter : entry->waiters) {
    Resume(waiter, Fail(ErrorCode::kCancelled,
                        "identity " + identity.Uri() + " was forgotten: its last pod is gone"));
  }
  entry->waiters.clear();
}

void CredentialCache::Impl::Shutdown() {
  stopped_ = true;
  while (!entries_.empty()) Forget(state::Identity(entries_.begin()->first));
}

std::vector<CredentialCache::Status> CredentialCache::Impl::List() const {
  std::shared_lock lock(mutex_);
  std::vector<Status> out;
  out.reserve(entries_.size());
  for (const auto& [identity, entry] : entries_) {
    out.push_back({identity, entry->credential, entry->error});
  }
  return out;
}

CredentialCache::CredentialCache(Signer& signer, asio::io_context& control, const Clock& clock,
                                 observe::Log& log)
    : impl_(std::make_shared<Impl>(signer, control, clock, log)) {}

CredentialCache::~CredentialCache() { impl_->Shutdown(); }

asio::awaitable<Result<tls::CredentialPtr>> CredentialCache::Get(state::Identity identity) {
  if (auto known = impl_->Known(identity)) co_return std::move(*known);
  auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
  asio::post(impl_->control(), [impl = impl_, identity, waiter] { impl->Wait(identity, waiter); });
  auto [ended] = co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter->result) co_return std::move(*waiter->result);
  if (ended) co_return Fail(ErrorCode::kCancelled, "waiting for a certificate was cancelled");
  co_return Fail(ErrorCode::kTimedOut,
                 "no certificate for " + identity.Uri() + " in 10 s; is the CA reachable?");
}

void CredentialCache::Prefetch(const state::Identity& identity) { impl_->Prefetch(identity); }
void CredentialCache::Forget(const state::Identity& identity) { impl_->Forget(identity); }
std::vector<CredentialCache::Status> CredentialCache::List() const { return impl_->List(); }

}  // namespace ambit::identity
