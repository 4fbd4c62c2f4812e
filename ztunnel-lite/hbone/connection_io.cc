#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "ztunnel-lite/hbone/connection.h"

namespace ambit::hbone {
namespace {

// Full reads in a row before others get their turn.
constexpr int kReadRounds = 4;
// Two messages less than this apart are a crowd.
constexpr std::chrono::microseconds kQuiet{50};

}  // namespace

bool Connection::CanProduce() const {
  if (failure_) return false;
  if (output_.size() < kOutputLimitBytes) return true;
  held_back_ = true;
  return false;
}

bool Connection::HasRoom() const {
  if (output_.size() < 2 * kOutputLimitBytes) return true;
  held_back_ = true;
  return false;
}

bool Connection::WriteFrames(ByteSpan frames) { return session_->Write(frames).has_value(); }

void Connection::Kick() {
  // From inside the parser or the serializer: the caller of either pumps afterwards.
  if (failure_ || !h2_ || busy_) return;
  busy_ = true;
  auto pumped = h2_->Pump(*this);
  busy_ = false;
  if (!pumped) return Fail(pumped.error());
  ScheduleFlush();
}

void Connection::ArmRead() {
  if (failure_) return;
  socket_.WhenReadable([self = shared_from_this()] { self->OnReadable(); });
}

void Connection::OnReadable() {
  for (int round = 0; round < kReadRounds && !failure_; ++round) {
    const std::span<std::byte> buffer = worker_.cipher_scratch();
    const ssize_t size = recv(socket_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (size < 0) return Fail(ErrnoError(errno, "tunnel connection"));
    if (size == 0) return OnEof();
    session_->SetInput(buffer.first(static_cast<size_t>(size)));
    if (!Advance()) return;
    if (static_cast<size_t>(size) < buffer.size()) break;
  }
  ArmRead();
}

bool Connection::Advance() {
  if (state_ == State::kHandshake) {
    auto done = session_->Handshake();
    if (!done) {
      Fail(done.error());
      return false;
    }
    ScheduleFlush();
    if (!*done) return true;
    state_ = State::kOpen;
    h2_ = std::make_unique<H2Session>(role_, settings_, *this);
    Kick();
    established_.Set();
  }
  return ReadRecords();
}

bool Connection::ReadRecords() {
  const std::span<std::byte> buffer = worker_.read_scratch();
  size_t filled = 0;
  bool more = true;
  while (more) {
    auto read = session_->Read(buffer.subspan(filled));
    if (!read) {
      Fail(read.error());
      return false;
    }
    filled += *read;
    more = *read > 0 && !session_->drained();
    if (filled > 0 && (!more || filled == buffer.size())) {
      if (!TakeBatch(buffer.first(filled))) return false;
      filled = 0;
    }
  }
  if (session_->closed()) {
    OnEof();
    return false;
  }
  return true;
}

bool Connection::TakeBatch(ByteSpan frames) {
  busy_ = true;
  auto received = h2_->Receive(frames);
  busy_ = false;
  // Also after an error: what came before it belongs to the apps.
  h2_->Dispatch();
  if (!received) {
    Fail(received.error());
    return false;
  }
  if (h2_->wake_needed()) h2_->WakeStalled();
  Kick();
  FinishIfDone();
  return !failure_;
}

void Connection::OnEof() {
  if (state_ == State::kHandshake) {
    return Fail(
        Error(ErrorCode::kUnavailable, "the peer closed the connection during the TLS handshake"));
  }
  const size_t streams = h2_->active_streams();
  if (streams == 0) return End(Error(ErrorCode::kUnavailable, "the peer closed the tunnel"), true);
  Fail(Error(ErrorCode::kUnavailable,
             "the peer closed the tunnel under " + std::to_string(streams) + " open streams"));
}

void Connection::ScheduleFlush() {
  const bool finished = h2_ && h2_->finished();
  if (flush_posted_) {
    crowd_seen_ = crowd_seen_ || output_.size() > posted_bytes_;
    return;
  }
  if (output_.empty() && !finished) return;
  // A message on a quiet tunnel leaves at once, which spares it a turn of the loop. Where the last
  // turn had several, it waits for what the others of this one have to say.
  if (!crowd_) {
    const auto now = Now();
    crowd_seen_ = now - std::exchange(flushed_, now) < kQuiet;
    const bool sent = !crowd_seen_ && Flush();
    if (flush_posted_) return;  // the socket is full
    if (sent && !held_back_ && !finished) return;
  }
  posted_bytes_ = output_.size();
  flush_posted_ = true;
  boost::asio::post(worker_.io(), [self = shared_from_this()] { self->FlushTurn(); });
}

void Connection::FlushTurn() {
  flush_posted_ = false;
  crowd_ = std::exchange(crowd_seen_, false);
  if (failure_) return;
  if (!Flush()) {
    // The peer's reason, an alert, may be waiting to be read.
    OnReadable();
    return Fail(ErrnoError(send_error_, "tunnel connection"));
  }
  if (held_back_ && output_.size() < kOutputLimitBytes / 2) {
    held_back_ = false;
    if (!h2_) return;
    h2_->WakeStalled();
    Kick();
  }
  FinishIfDone();
}

bool Connection::Flush() {
  std::array<iovec, ByteQueue::kMaxIovecs> list;
  if (send_error_ != 0) return false;
  while (!output_.empty()) {
    msghdr message{};
    message.msg_iov = list.data();
    message.msg_iovlen = output_.Peek(list);
    const ssize_t sent = sendmsg(socket_.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      if (failure_) return true;
      flush_posted_ = true;
      socket_.WhenWritable([self = shared_from_this()] { self->FlushTurn(); });
      return true;
    }
    if (sent < 0) {
      send_error_ = errno;
      output_.Clear();
      return false;
    }
    output_.Consume(static_cast<size_t>(sent));
  }
  return true;
}

void Connection::FinishIfDone() {
  if (failure_ || !h2_ || !output_.empty() || !h2_->finished()) return;
  End(Error(ErrorCode::kUnavailable, "the tunnel is closed"), true);
}

}  // namespace ambit::hbone
