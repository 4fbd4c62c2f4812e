#include "ztunnel-lite/hbone/h2_callbacks.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "ztunnel-lite/hbone/worker.h"

namespace ambit::hbone {
namespace {

constexpr size_t kFrameHeaderBytes = 9;
// Up to this many times the announced limit a header list is answered with 431.
constexpr size_t kHeaderExcess = 4;

H2Session& Self(void* user) { return *static_cast<H2Session*>(user); }

}  // namespace

const nghttp2_session_callbacks* H2Callbacks::Table() {
  static const nghttp2_session_callbacks* const kTable = [] {
    nghttp2_session_callbacks* table = nullptr;
    nghttp2_session_callbacks_new(&table);
    nghttp2_session_callbacks_set_on_begin_frame_callback(table, OnBeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(table, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(table, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(table, OnFrameReceived);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table, OnDataChunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(table, OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_send_callback(table, OnFrameSent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(table, ReadLength);
    nghttp2_session_callbacks_set_send_data_callback(table, SendData);
    nghttp2_session_callbacks_set_error_callback2(table, OnError);
    return table;
  }();
  return kTable;
}

Stream* H2Callbacks::Find(nghttp2_session* session, int32_t id) {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

int H2Callbacks::Flooded(H2Session& self, FloodGuard& guard, const char* what) {
  if (guard.Allow(self.events_.Now())) return 0;
  self.flood_ = what;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// nghttp2 takes no notice of HEADERS on a stream that it no longer knows.
int H2Callbacks::CheckOpens(H2Session& self, int32_t id) {
  if (nghttp2_session_find_stream(self.session_, id) != nullptr) return 0;
  const bool ended = self.ended_.WasEndedByClient(id);
  if (!ended && !self.ended_.WasSkipped(id)) return 0;
  self.detail_ = ended ? "HEADERS on a stream that its client has ended"
                       : "HEADERS on a stream below one that is open already";
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int H2Callbacks::OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
  H2Session& self = Self(user);
  if (header->type != NGHTTP2_HEADERS && header->type != NGHTTP2_CONTINUATION) return 0;
  if (header->type == NGHTTP2_HEADERS) {
    self.header_bytes_ = 0;
    if (const int failed = CheckOpens(self, header->stream_id)) return failed;
  }
  // Also where nghttp2 decodes a block for nobody, and so tells us of no field.
  return CountHeaderBytes(self, header->length);
}

// The whole block has to be decoded whatever we think of it, because the table of the connection
// depends on it; so there is a size that ends the connection.
int H2Callbacks::CountHeaderBytes(H2Session& self, size_t bytes) {
  self.header_bytes_ += bytes;
  if (self.header_bytes_ <= kHeaderExcess * self.header_limit_bytes_) return 0;
  self.flood_ = "header lists far beyond what we announced";
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int H2Callbacks::OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  H2Session& self = Self(user);
  if (self.role_ == H2Session::Role::kClient) {
    Stream* stream = Find(session, frame->hd.stream_id);
    if (stream != nullptr && !stream->answered_) {
      stream->headers_ = std::make_unique<HeaderBlock>(self.header_limit_bytes_);
    }
    return 0;
  }
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  self.ended_.Opened(frame->hd.stream_id);
  StreamPtr stream = self.events_.MakeStream();
  stream->id_ = frame->hd.stream_id;
  stream->headers_ = std::make_unique<HeaderBlock>(self.header_limit_bytes_);
  nghttp2_session_set_stream_user_data(session, stream->id_, stream.get());
  self.streams_.push_back(*stream);
  ++self.active_;
  self.incoming_ = std::move(stream);
  return 0;
}

int H2Callbacks::OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                          size_t name_length, const uint8_t* value, size_t value_length, uint8_t,
                          void* user) {
  if (const int failed = CountHeaderBytes(Self(user), name_length + value_length)) return failed;
  Stream* stream = Find(session, frame->hd.stream_id);
  // Trailers have no block any more.
  if (stream == nullptr || !stream->headers_) return 0;
  stream->headers_->Add({reinterpret_cast<const char*>(name), name_length},
                        {reinterpret_cast<const char*>(value), value_length});
  return 0;
}

int H2Callbacks::OnHeadersReceived(H2Session& self, const nghttp2_frame* frame) {
  Stream* stream = Find(self.session_, frame->hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) stream->end_received_ = true;
  // First: a request that is refused at once is gone afterwards.
  self.MarkDirty(*stream);
  if (self.role_ == H2Session::Role::kServer) {
    if (self.incoming_.get() == stream) self.events_.OnRequest(std::move(self.incoming_));
  } else if (!stream->answered_ && stream->headers_ && stream->headers_->status() >= 200) {
    stream->answered_ = true;
    if (stream->answer_ != nullptr) stream->answer_->cancel();
  }
  return 0;
}

int H2Callbacks::OnDataReceived(H2Session& self, const nghttp2_frame* frame) {
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    if (Stream* stream = Find(self.session_, frame->hd.stream_id)) {
      stream->end_received_ = true;
      self.MarkDirty(*stream);
    }
    return 0;
  }
  if (frame->hd.length > frame->data.padlen) return 0;
  return Flooded(self, self.control_frames_, "DATA frames without data");
}

int H2Callbacks::OnResetReceived(H2Session& self, const nghttp2_frame* frame) {
  Stream* stream = Find(self.session_, frame->hd.stream_id);
  if (self.role_ == H2Session::Role::kClient || (stream != nullptr && stream->answered_)) return 0;
  return Flooded(self, self.unanswered_resets_, "streams reset before they were answered");
}

int H2Callbacks::OnSettingsReceived(H2Session& self, const nghttp2_frame* frame) {
  if (frame->hd.flags & NGHTTP2_FLAG_ACK) return 0;
  self.wake_needed_ = true;
  self.peer_settings_seen_ = true;
  self.events_.OnPeerSettings();
  return Flooded(self, self.control_frames_, "SETTINGS frames");
}

int H2Callbacks::OnPingReceived(H2Session& self, const nghttp2_frame* frame) {
  if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
    uint64_t payload = 0;
    std::memcpy(&payload, frame->ping.opaque_data, sizeof(payload));
    self.events_.OnPong(payload);
  }
  return Flooded(self, self.control_frames_, "PING frames");
}

void H2Callbacks::NoteEnd(H2Session& self, const nghttp2_frame_hd& header) {
  if (self.role_ == H2Session::Role::kClient) return;
  const bool carries_end = header.type == NGHTTP2_DATA || header.type == NGHTTP2_HEADERS;
  if (header.type == NGHTTP2_RST_STREAM ||
      (carries_end && (header.flags & NGHTTP2_FLAG_END_STREAM) != 0)) {
    self.ended_.EndedByClient(header.stream_id);
  }
}

int H2Callbacks::OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  H2Session& self = Self(user);
  NoteEnd(self, frame->hd);
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
      return OnDataReceived(self, frame);
    case NGHTTP2_HEADERS:
      return OnHeadersReceived(self, frame);
    case NGHTTP2_RST_STREAM:
      return OnResetReceived(self, frame);
    case NGHTTP2_WINDOW_UPDATE:
      self.wake_needed_ = true;
      return 0;
    case NGHTTP2_SETTINGS:
      return OnSettingsReceived(self, frame);
    case NGHTTP2_PING:
      return OnPingReceived(self, frame);
    case NGHTTP2_PRIORITY:
      return Flooded(self, self.control_frames_, "PRIORITY frames");
    case NGHTTP2_GOAWAY:
      self.events_.OnGoaway(frame->goaway.error_code);
      return 0;
    default:
      return 0;
  }
}

int H2Callbacks::OnDataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data,
                             size_t length, void* user) {
  H2Session& self = Self(user);
  Stream* stream = Find(session, id);
  if (stream == nullptr) return nghttp2_session_consume(session, id, length);
  const auto index = static_cast<int32_t>(self.chunks_.size());
  self.chunks_.push_back({{const_cast<uint8_t*>(data), length}, -1});
  if (stream->first_chunk_ < 0) {
    stream->first_chunk_ = index;
  } else {
    self.chunks_[static_cast<size_t>(stream->last_chunk_)].next = index;
  }
  stream->last_chunk_ = index;
  self.MarkDirty(*stream);
  return 0;
}

int H2Callbacks::OnStreamClose(nghttp2_session* session, int32_t id, uint32_t error_code,
                               void* user) {
  H2Session& self = Self(user);
  Stream* stream = Find(session, id);
  if (stream == nullptr) return 0;
  stream->reset_code_ = error_code;
  // NO_ERROR means the peer has said what it wanted to say.
  if (error_code == NGHTTP2_NO_ERROR) stream->end_received_ = true;
  self.MarkClosed(*stream);
  if (stream->answer_ != nullptr) stream->answer_->cancel();
  if (self.incoming_.get() == stream) {
    self.incoming_.reset();
  } else {
    self.MarkDirty(*stream);
  }
  return 0;
}

int H2Callbacks::OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  H2Session& self = Self(user);
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
    self.NoteBroken(frame->goaway);
  }
  if (frame->hd.type != NGHTTP2_RST_STREAM) return 0;
  switch (frame->rst_stream.error_code) {
    case NGHTTP2_NO_ERROR:
    case NGHTTP2_CANCEL:
    case NGHTTP2_CONNECT_ERROR:
      return 0;  // ours, not provoked by a broken frame
    default:
      return Flooded(self, self.provoked_resets_, "frames that make us reset streams");
  }
}

ssize_t H2Callbacks::ReadLength(nghttp2_session* session, uint8_t, int32_t id,
                                int32_t session_window, int32_t stream_window, uint32_t frame_size,
                                void*) {
  const Stream* stream = Find(session, id);
  size_t waiting = 1;
  if (stream != nullptr) {
    waiting = stream->direct_.empty() ? stream->unsent_.size() : stream->direct_.size();
  }
  // nghttp2 sizes a buffer by the answer, so it is no more than there is to send.
  const ssize_t most =
      std::min({static_cast<ssize_t>(waiting), static_cast<ssize_t>(session_window),
                static_cast<ssize_t>(stream_window), static_cast<ssize_t>(frame_size)});
  return std::max<ssize_t>(most, 1);
}

ssize_t H2Callbacks::ReadData(nghttp2_session* session, int32_t id, uint8_t*, size_t length,
                              uint32_t* flags, nghttp2_data_source*, void*) {
  Stream* stream = Find(session, id);
  if (stream == nullptr) return NGHTTP2_ERR_DEFERRED;
  const size_t waiting = stream->unsent_.empty() ? stream->direct_.size() : stream->unsent_.size();
  if (waiting == 0 && !stream->end_requested_) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  const size_t part = std::min(waiting, length);
  if (part == waiting && stream->end_requested_) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(part);
}

bool H2Callbacks::SendDirect(H2Session& self, Stream& stream, const uint8_t* header,
                             size_t length) {
  // The bytes before the payload are free: headroom first, payload that has left afterwards.
  std::byte* start = stream.direct_.data() - kFrameHeaderBytes;
  std::memcpy(start, header, kFrameHeaderBytes);
  stream.direct_ = stream.direct_.subspan(length);
  return self.sink_->WriteFrames({start, kFrameHeaderBytes + length});
}

bool H2Callbacks::SendUnsent(H2Session& self, Stream& stream, const uint8_t* header,
                             size_t length) {
  self.wake_needed_ = true;
  bool ok =
      self.sink_->WriteFrames({reinterpret_cast<const std::byte*>(header), kFrameHeaderBytes});
  while (ok && length > 0) {
    std::array<iovec, 1> piece;
    stream.unsent_.Peek(piece);
    const size_t part = std::min(length, piece[0].iov_len);
    ok = self.sink_->WriteFrames({static_cast<const std::byte*>(piece[0].iov_base), part});
    stream.unsent_.Consume(part);
    length -= part;
  }
  return ok;
}

int H2Callbacks::SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header,
                          size_t length, nghttp2_data_source*, void* user) {
  H2Session& self = Self(user);
  Stream* stream = Find(session, frame->hd.stream_id);
  if (stream == nullptr || !self.FlushStage()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  const bool direct = stream->unsent_.empty() && length > 0;
  if (!(direct ? SendDirect(self, *stream, header, length)
               : SendUnsent(self, *stream, header, length))) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    stream->end_sent_ = true;
    self.MarkDirty(*stream);
    if (stream->listener_ != nullptr) stream->listener_->OnEndSent();
  }
  return 0;
}

int H2Callbacks::OnError(nghttp2_session*, int, const char* text, size_t length, void* user) {
  Self(user).detail_.assign(text, length);
  return 0;
}

}  // namespace ambit::hbone
