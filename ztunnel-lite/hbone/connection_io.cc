#include <array>
#include <boost/asio/post.hpp>

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
  transport_->WhenReadable(shared_from_this());
}

void Connection::OnReadable() {
  for (int round = 0; round < kReadRounds && !failure_; ++round) {
    const std::span<std::byte> buffer = worker_.cipher_scratch();
    auto received = transport_->Receive(buffer);
    if (!received) return Fail(received.error());
    if (!*received) break;
    const size_t size = **received;
    if (size == 0) return OnEof();
    session_->SetInput(buffer.first(size));
    if (!Advance()) return;
    if (size < buffer.size()) break;
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
    if (settings_.peer_rules != nullptr && settings_.peer_rules->revocations != nullptr) {
      worker_.revocable().insert(this);
      // For lists that came while the handshake was under way.
      RecheckPeer();
      if (failure_) return false;
    }
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
  if (!crowd_ && transport_->sends_anywhere()) {
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
    return Fail(*send_error_);
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
  if (send_error_) return false;
  while (!output_.empty()) {
    const auto sent = transport_->Send({list.data(), output_.Peek(list)});
    if (!sent) {
      send_error_ = sent.error();
      output_.Clear();
      return false;
    }
    if (!*sent) {
      if (failure_) return true;
      flush_posted_ = true;
      transport_->WhenWritable(shared_from_this());
      return true;
    }
    output_.Consume(**sent);
  }
  return true;
}

void Connection::FinishIfDone() {
  if (failure_ || !h2_ || !output_.empty() || !h2_->finished()) return;
  End(Error(ErrorCode::kUnavailable, "the tunnel is closed"), true);
}

}  // namespace ambit::hbone
