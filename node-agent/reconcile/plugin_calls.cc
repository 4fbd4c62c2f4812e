// What the plugin asks of the reconciler: offers, commits, aborts.

#include <sys/random.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "lib/base/bytes.h"
#include "node-agent/reconcile/entry.h"
#include "node-agent/reconcile/reconciler.h"

namespace ambit::reconcile {
namespace {

namespace asio = boost::asio;

// Not to be guessed and, unlike a counter, not repeated by the agent's next process.
std::string NewToken() {
  std::array<std::byte, 16> bytes{};
  // Cannot fail or fall short for so few bytes once the system is up (getrandom(2)).
  (void)getrandom(bytes.data(), bytes.size(), 0);
  return HexEncode(bytes);
}

}  // namespace

std::string Reconciler::Offer(const std::string& uid, podns::Sandbox sandbox) {
  auto entry = entries_.at(uid);
  ReplaceSandbox(*entry, std::move(sandbox), "another sandbox of the pod has taken its place");
  std::erase_if(offers_, [&uid](const auto& offer) { return offer.second.uid == uid; });
  entry->record.offered = true;
  entry->enrolling_since = clock_.Steady();
  std::string token = NewToken();
  Offered& offer = offers_[token];
  offer = {uid, entry->record.sandbox->netns, std::make_unique<asio::steady_timer>(io_)};
  offer.timer->expires_after(options_.offer_timeout);
  offer.timer->async_wait(
      [this, alive = alive_, token](const boost::system::error_code& cancelled) {
        if (!cancelled && *alive) Abort(token);
      });
  Refresh(*entry);
  return token;
}

std::optional<Reconciler::Offered> Reconciler::TakeOffer(const std::string& token) {
  auto found = offers_.find(token);
  if (found == offers_.end()) return std::nullopt;
  Offered offer = std::move(found->second);
  offers_.erase(found);
  offer.timer->cancel();
  return offer;
}

asio::awaitable<Result<void>> Reconciler::AwaitEnrolled(std::shared_ptr<Entry> entry,
                                                        std::chrono::milliseconds timeout) {
  auto waiter = std::make_shared<Waiter>(io_);
  waiter->timer.expires_after(timeout);
  entry->waiters.push_back(waiter);
  Drive(entry);
  if (!waiter->result) {
    boost::system::error_code ignored;
    co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (waiter->result) co_return *waiter->result;
  entry->waiters.remove(waiter);
  std::string problem = effects_.TunnelProblem();
  if (!problem.empty()) co_return Fail(ErrorCode::kUnavailable, std::move(problem));
  co_return Fail(ErrorCode::kTimedOut, "pod " + entry->record.Key() + " was not enrolled within " +
                                           std::to_string(timeout.count()) +
                                           " ms; it stopped at step " +
                                           std::string(enroll::StepName(entry->record.running)));
}

asio::awaitable<Result<void>> Reconciler::Commit(std::string token,
                                                 std::chrono::milliseconds timeout) {
  auto offer = TakeOffer(token);
  if (!offer || !entries_.contains(offer->uid)) {
    co_return Fail(
        ErrorCode::kAlreadyExists,
        "the token is not known: the agent has restarted, or the pod has another sandbox");
  }
  auto entry = entries_.at(offer->uid);
  entry->record.offered = false;
  if (entry->record.decision.wish != enroll::Wish::kCaptured) {
    Error error(ErrorCode::kCancelled, "pod " + entry->record.Key() + " left the mesh meanwhile: " +
                                           entry->record.decision.reason);
    Detach(offer->uid, offer->netns);
    co_return Fail(std::move(error));
  }
  entry->record.backing_off = false;
  entry->record.touched = offer->netns;
  entry->record.programmed = entry->record.verified = true;
  ScheduleSave();
  auto result = co_await AwaitEnrolled(entry, timeout);
  if (!result) Detach(offer->uid, offer->netns);
  co_return result;
}

void Reconciler::Abort(const std::string& token) {
  auto offer = TakeOffer(token);
  if (offer) Detach(offer->uid, offer->netns);
}

asio::awaitable<Result<void>> Reconciler::Enrol(std::string uid, podns::Sandbox sandbox,
                                                std::chrono::milliseconds timeout) {
  auto found = entries_.find(uid);
  if (found == entries_.end()) co_return Fail(ErrorCode::kNotFound, "the pod is gone");
  auto entry = found->second;
  net::NetnsId netns = sandbox.netns;
  ReplaceSandbox(*entry, std::move(sandbox), "another sandbox of the pod has taken its place");
  entry->record.offered = false;
  entry->record.backing_off = false;
  auto result = co_await AwaitEnrolled(entry, timeout);
  if (!result) Detach(uid, netns);
  co_return result;
}

}  // namespace ambit::reconcile
