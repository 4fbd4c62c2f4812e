#include "ztunnel-lite/hbone/stream.h"

#include <array>

#include "ztunnel-lite/hbone/h2_session.h"

namespace ambit::hbone {

void StreamDeleter::operator()(Stream* stream) const { delete stream; }

Stream::~Stream() { host_->h2().Forget(*this); }

void Stream::Attach(StreamListener* listener) {
  listener_ = listener;
  if (listener_ == nullptr) return;
  if (const Error* error = host_->failure()) return OnLost(*error);
  DeliverPending();
  if (listener_ != nullptr && closed_) Settle();
}

size_t Stream::Writable() {
  if (closed_ || end_requested_) return 0;
  const size_t window = unsent_.empty() && host_->CanProduce() ? host_->h2().SendWindow(*this) : 0;
  if (window == 0) host_->h2().Stall(*this);
  return window;
}

void Stream::Write(std::span<std::byte> payload) {
  if (closed_) return;
  direct_ = payload;
  host_->h2().Resume(*this);
  host_->Kick();
  // What was offered within the windows has left; a peer that shrinks its windows by SETTINGS in
  // between makes this the exception.
  if (!direct_.empty()) unsent_.Append(direct_);
  direct_ = {};
}

void Stream::End() {
  if (end_requested_ || closed_) return;
  end_requested_ = true;
  host_->h2().Resume(*this);
  host_->Kick();
}

void Stream::Reset(uint32_t error_code) {
  reset_reported_ = true;
  if (closed_) return;
  host_->h2().Reset(*this, error_code);
  host_->Kick();
}

uint32_t Stream::app_error_code() const {
  return host_->h2().role() == H2Session::Role::kServer ? NGHTTP2_CONNECT_ERROR : NGHTTP2_CANCEL;
}

size_t Stream::Offer(std::span<const iovec> chunks) {
  if (listener_ == nullptr) return 0;
  const size_t taken = listener_->OnData(chunks);
  if (taken > 0) host_->h2().Consume(*this, taken);
  return taken;
}

void Stream::Deliver(std::span<const iovec> chunks) {
  size_t taken = pending_.empty() ? Offer(chunks) : 0;
  for (const iovec& chunk : chunks) {
    const size_t skip = std::min(taken, chunk.iov_len);
    taken -= skip;
    if (skip == chunk.iov_len) continue;
    pending_.Append({static_cast<const std::byte*>(chunk.iov_base) + skip, chunk.iov_len - skip});
  }
}

void Stream::DeliverPending() {
  std::array<iovec, ByteQueue::kMaxIovecs> chunks;
  while (!pending_.empty()) {
    const size_t count = pending_.Peek(chunks);
    size_t offered = 0;
    for (size_t i = 0; i < count; ++i) offered += chunks[i].iov_len;
    const size_t taken = Offer({chunks.data(), count});
    pending_.Consume(taken);
    if (taken < offered) break;
  }
  Settle();
  host_->Kick();
}

void Stream::Settle() {
  if (listener_ == nullptr) return;
  if (closed_ && reset_code_ != NGHTTP2_NO_ERROR && !reset_reported_) {
    reset_reported_ = true;
    const ErrorCode code =
        reset_code_ == NGHTTP2_REFUSED_STREAM ? ErrorCode::kUnavailable : ErrorCode::kIo;
    return listener_->OnReset(Error(code, std::string("the peer reset the stream (") +
                                              nghttp2_http2_strerror(reset_code_) + ")"));
  }
  if (end_received_ && pending_.empty() && !end_delivered_) {
    end_delivered_ = true;
    listener_->OnEnd();
  }
  if (closed_ && !end_sent_ && listener_ != nullptr && !reset_reported_) {
    reset_reported_ = true;
    listener_->OnStopped();
  }
}

void Stream::OnLost(const Error& error) {
  // What the peer sent before its clean end is still on its way to the app.
  if (closed_ && reset_code_ == NGHTTP2_NO_ERROR && end_received_ && end_sent_) return;
  closed_ = true;
  if (answer_ != nullptr) answer_->cancel();
  if (listener_ == nullptr || reset_reported_) return;
  reset_reported_ = true;
  listener_->OnReset(error);
}

}  // namespace ambit::hbone
