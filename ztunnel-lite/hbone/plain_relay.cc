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
      progress_(std::move(options)),
      done_(worker.io()),
      up_{client_, upstream_, progress_.result.from_app, std::nullopt},
      down_{upstream_, client_, progress_.result.to_app, std::nullopt} {
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

void PlainRelay::HandOn() {
  if (finished_) return;
  handing_on_ = true;
  HandOnIfEmpty();
}

// What waits in a pipe has left its socket for good.
void PlainRelay::HandOnIfEmpty() {
  if (up_.in_pipe == 0 && down_.in_pipe == 0) Finish({});
}

void PlainRelay::Pump(Direction& direction) {
  for (int round = 0; round < kRounds; ++round) {
    if (finished_ || direction.done) return;
    if (handing_on_ && direction.in_pipe == 0) return HandOnIfEmpty();
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
      progress_.Report();
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
  progress_.Report();
  return true;
}

void PlainRelay::End(Direction& direction) {
  direction.done = true;
  shutdown(direction.to.fd(), SHUT_WR);
  if (up_.done && down_.done) return Finish({});
  progress_.LimitSilence(worker_.io(), weak_from_this());
}

void PlainRelay::Finish(Result<void> outcome) {
  if (finished_) return;
  finished_ = true;
  progress_.result.outcome = std::move(outcome);
  progress_.Stop();
  if (handing_on_ && progress_.result.outcome) {
    progress_.result.app = client_.Release();
    progress_.result.upstream = upstream_.Release();
  }
  client_.Close();
  upstream_.Close();
  done_.Set();
}

}  // namespace ambit::hbone
