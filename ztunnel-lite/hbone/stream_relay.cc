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
      progress_(std::move(options)),
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

void StreamRelay::ExpectHandOn(bool expected) {
  if (finished_) return;
  expecting_ = expected;
  if (expected || !std::exchange(fin_withheld_, false)) return;
  shutdown(app_.fd(), SHUT_WR);
  FinishIfDone();
}

void StreamRelay::HandOn() {
  if (finished_ || std::exchange(handing_on_, true)) return;
  expecting_ = true;
  if (!std::exchange(app_ended_, true)) stream_->End();
  if (finished_) return;
  WatchApp();
  FinishIfDone();
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
    progress_.result.from_app += static_cast<size_t>(size);
    stream_->Write(buffer.first(static_cast<size_t>(size)));
    progress_.Report();
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
  progress_.result.to_app += taken;
  if (taken < offered) {
    app_.WhenWritable([self = shared_from_this()] {
      if (!self->finished_) self->stream_->DeliverPending();
    });
  }
  progress_.Report();
  return taken;
}

void StreamRelay::OnEnd() {
  to_done_ = true;
  fin_withheld_ = expecting_;
  if (!fin_withheld_) shutdown(app_.fd(), SHUT_WR);
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
  stopped_ = true;
  FinishIfDone();
}

void StreamRelay::OnReset(const Error& error) {
  if (finished_) return;
  (void)net::SetResetOnClose(app_.fd());
  Finish(std::unexpected(error));
}

void StreamRelay::HalfClosed() {
  if (from_done_ == to_done_ || finished_) return;
  progress_.LimitSilence(worker_.io(), weak_from_this());
}

void StreamRelay::FinishIfDone() {
  if (fin_withheld_ && !handing_on_) return;
  if (from_done_ && to_done_) Finish({});
}

void StreamRelay::Finish(Result<void> outcome) {
  if (finished_) return;
  finished_ = true;
  progress_.result.outcome = std::move(outcome);
  stream_->Attach(nullptr);
  progress_.Stop();
  if (handing_on_ && !stopped_ && progress_.result.outcome) progress_.result.app = app_.Release();
  app_.Close();
  done_.Set();
}

}  // namespace ambit::hbone
