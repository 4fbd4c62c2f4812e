#include "ztunnel-lite/hbone/plain_relay.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "lib/net/socket.h"

namespace ambit::hbone {
namespace {

// Full pipes in a row before others get their turn.
constexpr int kRounds = 8;

}  // namespace

PlainRelay::PlainRelay(Worker& worker, UniqueFd client, UniqueFd upstream, RelayOptions options)
    : worker_(worker),
      client_(worker.io(), std::move(client)),
      upstream_(worker.io(), std::move(upstream)),
      options_(std::move(options)),
      done_(worker.io()),
      up_{client_, upstream_, result_.from_app, std::nullopt},
      down_{upstream_, client_, result_.to_app, std::nullopt} {
  for (PolledSocket* socket : {&client_, &upstream_}) {
    (void)net::SetNoDelay(socket->fd());
    // splice looks at the socket's own mode, not only at its flag.
    fcntl(socket->fd(), F_SETFL, fcntl(socket->fd(), F_GETFL) | O_NONBLOCK);
  }
}

void PlainRelay::Start() {
  Pump(up_);
  Pump(down_);
}

void PlainRelay::Abort(Error reason) {
  if (finished_) return;
  (void)net::SetResetOnClose(client_.fd());
  (void)net::SetResetOnClose(upstream_.fd());
  Finish(std::unexpected(std::move(reason)));
}

void PlainRelay::Pump(Direction& direction) {
  for (int round = 0; round < kRounds; ++round) {
    if (finished_ || direction.done) return;
    if (direction.in_pipe == 0 && !Fill(direction)) return;
    if (!Drain(direction)) return;
  }
  direction.from.WhenReadable([self = shared_from_this(), &direction] { self->Pump(direction); });
}

bool PlainRelay::Fill(Direction& direction) {
  if (!direction.pipe) {
    auto pipe = worker_.pipes().Take();
    if (!pipe) {
      Abort(pipe.error());
      return false;
    }
    direction.pipe = std::move(*pipe);
  }
  const ssize_t size = splice(direction.from.fd(), nullptr, direction.pipe->write.get(), nullptr,
                              PipePool::kPipeBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (size > 0) {
    direction.in_pipe = static_cast<size_t>(size);
    return true;
  }
  const int error = errno;
  worker_.pipes().Give(*std::exchange(direction.pipe, std::nullopt));
  if (size == 0) {
    End(direction);
  } else if (error == EAGAIN || error == EINTR) {
    direction.from.WhenReadable([self = shared_from_this(), &direction] { self->Pump(direction); });
  } else {
    Abort(ErrnoError(error, "plain connection"));
  }
  return false;
}

bool PlainRelay::Drain(Direction& direction) {
  while (direction.in_pipe > 0) {
    const ssize_t size = splice(direction.pipe->read.get(), nullptr, direction.to.fd(), nullptr,
                                direction.in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) {
      direction.to.WhenWritable([self = shared_from_this(), &direction] { self->Pump(direction); });
      Report();
      return false;
    }
    if (size <= 0) {
      Abort(ErrnoError(errno, "plain connection"));
      return false;
    }
    direction.in_pipe -= static_cast<size_t>(size);
    direction.moved += static_cast<uint64_t>(size);
  }
  worker_.pipes().Give(*std::exchange(direction.pipe, std::nullopt));
  Report();
  return true;
}

void PlainRelay::End(Direction& direction) {
  direction.done = true;
  shutdown(direction.to.fd(), SHUT_WR);
  if (up_.done && down_.done) return Finish({});
  if (options_.half_close_timeout.count() == 0) return;
  half_close_timer_ = std::make_unique<boost::asio::steady_timer>(worker_.io());
  ArmHalfCloseTimer();
}

void PlainRelay::Report() {
  if (!options_.on_bytes) return;
  const uint64_t from = result_.from_app - reported_from_app_;
  const uint64_t to = result_.to_app - reported_to_app_;
  if (from == 0 && to == 0) return;
  reported_from_app_ = result_.from_app;
  reported_to_app_ = result_.to_app;
  options_.on_bytes(from, to);
}

void PlainRelay::ArmHalfCloseTimer() {
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

void PlainRelay::Finish(Result<void> outcome) {
  if (finished_) return;
  finished_ = true;
  result_.outcome = std::move(outcome);
  half_close_timer_.reset();
  client_.Close();
  upstream_.Close();
  done_.Set();
}

}  // namespace ambit::hbone
