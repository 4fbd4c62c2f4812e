#include "ztunnel-lite/hbone/stream_relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lib/net/socket.h"

namespace ambit::hbone {
namespace {

// Full reads in a row before others get their turn.
constexpr int kReadRounds = 4;
constexpr size_t kFrameHeaderBytes = 9;
// With its frame header a full read is a whole number of TLS records.
constexpr size_t kReadBytes = Worker::kScratchBytes - kFrameHeaderBytes;

}  // namespace

StreamRelay::StreamRelay(Worker& worker, StreamPtr stream, UniqueFd app, RelayOptions options)
    : worker_(worker),
      stream_(std::move(stream)),
      app_(worker.io(), std::move(app)),
      options_(std::move(options)),
      done_(worker.io()) {
  (void)net::SetNoDelay(app_.fd());
}

StreamRelay::~StreamRelay() {
  if (!finished_) stream_->Attach(nullptr);
}

void StreamRelay::Start() {
  stream_->Attach(this);
  PumpFromApp();
}

void StreamRelay::Abort(Error reason) {
  if (finished_) return;
  (void)net::SetResetOnClose(app_.fd());
  stream_->Reset(NGHTTP2_CANCEL);
  Finish(std::unexpected(std::move(reason)));
}

void StreamRelay::PumpFromApp() {
  for (int round = 0; round < kReadRounds && !app_ended_ && !finished_; ++round) {
    const size_t room = std::min(stream_->Writable(), kReadBytes);
    if (room == 0) return WatchApp();
    const std::span<std::byte> buffer = worker_.read_scratch().first(room);
    const ssize_t size = recv(app_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (!TakeFromApp(buffer, size)) return;
    if (static_cast<size_t>(size) < room) break;
  }
  if (!app_ended_ && !finished_) {
    app_.WhenReadable([self = shared_from_this()] { self->PumpFromApp(); });
  }
}

bool StreamRelay::TakeFromApp(std::span<std::byte> buffer, ssize_t size) {
  if (size > 0) {
    result_.from_app += static_cast<size_t>(size);
    stream_->Write(buffer.first(static_cast<size_t>(size)));
    Report();
    return !finished_;
  }
  if (size == 0) {
    app_ended_ = true;
    stream_->End();
    if (!finished_) WatchApp();
    return false;
  }
  if (errno != EAGAIN && errno != EINTR) {
    AppBroke(errno);
    return false;
  }
  app_.WhenReadable([self = shared_from_this()] { self->PumpFromApp(); });
  return false;
}

void StreamRelay::WatchApp() {
  app_.WhenBroken([self = shared_from_this()] {
    if (self->finished_) return;
    if (auto alive = net::SocketError(self->app_.fd()); !alive) {
      self->AppBroke(alive.error().sys_errno());
    }
  });
}

void StreamRelay::AppBroke(int error) {
  if (finished_) return;
  (void)net::SetResetOnClose(app_.fd());
  stream_->Reset(stream_->app_error_code());
  Finish(FailErrno(error, "connection of the app"));
}

size_t StreamRelay::OnData(std::span<const iovec> chunks) {
  size_t offered = 0;
  for (const iovec& chunk : chunks) offered += chunk.iov_len;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(chunks.data());
  message.msg_iovlen = chunks.size();
  ssize_t sent = -1;
  do {
    sent = sendmsg(app_.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno != EAGAIN) {
    AppBroke(errno);
    return 0;
  }
  const size_t taken = sent > 0 ? static_cast<size_t>(sent) : 0;
  result_.to_app += taken;
  if (taken < offered) {
    app_.WhenWritable([self = shared_from_this()] {
      if (!self->finished_) self->stream_->DeliverPending();
    });
  }
  Report();
  return taken;
}

void StreamRelay::OnEnd() {
  to_done_ = true;
  shutdown(app_.fd(), SHUT_WR);
  HalfClosed();
  FinishIfDone();
}

void StreamRelay::OnEndSent() {
  from_done_ = true;
  HalfClosed();
  FinishIfDone();
}

void StreamRelay::OnStopped() {
  app_ended_ = true;
  from_done_ = true;
  FinishIfDone();
}

void StreamRelay::OnReset(const Error& error) {
  if (finished_) return;
  (void)net::SetResetOnClose(app_.fd());
  Finish(std::unexpected(error));
}

void StreamRelay::Report() {
  if (!options_.on_bytes) return;
  const uint64_t from = result_.from_app - reported_from_app_;
  const uint64_t to = result_.to_app - reported_to_app_;
  if (from == 0 && to == 0) return;
  reported_from_app_ = result_.from_app;
  reported_to_app_ = result_.to_app;
  options_.on_bytes(from, to);
}

void StreamRelay::HalfClosed() {
  if (options_.half_close_timeout.count() == 0 || from_done_ == to_done_ || finished_) return;
  half_close_timer_ = std::make_unique<boost::asio::steady_timer>(worker_.io());
  ArmHalfCloseTimer();
}

void StreamRelay::ArmHalfCloseTimer() {
  moved_at_timer_ = result_.from_app + result_.to_app;
  half_close_timer_->expires_after(options_.half_close_timeout);
  half_close_timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (error || !self || self->finished_) return;
    if (self->moved_at_timer_ != self->result_.from_app + self->result_.to_app) {
      return self->ArmHalfCloseTimer();
    }
    self->Abort(Error(ErrorCode::kTimedOut,
                      "one direction has ended and the other was silent for " +
                          std::to_string(self->options_.half_close_timeout.count()) + " ms"));
  });
}

void StreamRelay::FinishIfDone() {
  if (from_done_ && to_done_) Finish({});
}

void StreamRelay::Finish(Result<void> outcome) {
  if (finished_) return;
  finished_ = true;
  result_.outcome = std::move(outcome);
  stream_->Attach(nullptr);
  half_close_timer_.reset();
  app_.Close();
  done_.Set();
}

}  // namespace ambit::hbone
