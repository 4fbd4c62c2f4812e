#include "ztunnel-lite/proxy/wait.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace ambit::proxy {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Shared with the timer's handler, which may run after the coroutine has gone on.
struct WritableWait {
  explicit WritableWait(asio::io_context& io) : descriptor(io), timer(io) {}

  void Stop() {
    boost::system::error_code ignored;
    descriptor.cancel(ignored);
  }

  asio::posix::stream_descriptor descriptor;
  asio::steady_timer timer;
  bool timed_out = false;
};

}  // namespace

asio::awaitable<Result<UniqueFd>> WaitWritable(asio::io_context& io, UniqueFd socket,
                                               std::chrono::milliseconds timeout,
                                               Interrupt& interrupt) {
  if (interrupt.fired()) co_return Fail(ErrorCode::kCancelled, "stopped");
  auto wait = std::make_shared<WritableWait>(io);
  boost::system::error_code error;
  wait->descriptor.assign(socket.get(), error);
  if (error) co_return FailErrno(error.value(), "wait for a socket");
  (void)socket.Release();
  wait->timer.expires_after(timeout);
  wait->timer.async_wait([wait](const boost::system::error_code& stopped) {
    if (stopped) return;
    wait->timed_out = true;
    wait->Stop();
  });
  {
    Interrupt::Scope scope(interrupt, [wait] { wait->Stop(); });
    co_await wait->descriptor.async_wait(asio::posix::stream_descriptor::wait_write, kAwait);
  }
  wait->timer.cancel();
  UniqueFd ready(wait->descriptor.release());
  if (interrupt.fired()) co_return Fail(ErrorCode::kCancelled, "stopped");
  if (wait->timed_out) co_return Fail(ErrorCode::kTimedOut, "timed out");
  co_return ready;
}

ChangeSignal::Watch::Watch(ChangeSignal& signal)
    : signal_(signal), timer_(std::make_shared<asio::steady_timer>(signal.io_)) {
  signal_.waiting_.push_back(this);
  signal_.watchers_.fetch_add(1);
}

ChangeSignal::Watch::~Watch() {
  signal_.watchers_.fetch_sub(1);
  std::erase(signal_.waiting_, this);
}

asio::awaitable<void> ChangeSignal::Watch::Wait(std::chrono::steady_clock::time_point deadline,
                                                Interrupt& interrupt) {
  if (std::exchange(changed_, false) || interrupt.fired()) co_return;
  timer_->expires_at(deadline);
  Interrupt::Scope scope(interrupt, [timer = timer_] { timer->cancel(); });
  co_await timer_->async_wait(kAwait);
  changed_ = false;
}

void ChangeSignal::Raise(const std::shared_ptr<ChangeSignal>& signal) {
  if (signal->watchers_.load() == 0) return;
  asio::post(signal->io_, [signal] { signal->WakeAll(); });
}

void ChangeSignal::WakeAll() {
  for (Watch* watch : waiting_) {
    watch->changed_ = true;
    watch->timer_->cancel();
  }
}

}  // namespace ambit::proxy
