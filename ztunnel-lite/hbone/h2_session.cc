#include "ztunnel-lite/hbone/h2_session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "ztunnel-lite/hbone/h2_callbacks.h"

namespace ambit::hbone {
namespace {

constexpr int32_t kDefaultWindowBytes = 65535;
constexpr size_t kClientHeaderLimitBytes = 16384;
constexpr size_t kServerHeaderLimitBytes = 65536;
// Frames that nghttp2 may queue for a peer that does not read; DATA is not among them.
constexpr size_t kQueuedFrameLimit = 4096;
constexpr size_t kStageBytes = 16384;
// After a burst of so many chunks the list gives its memory back.
constexpr size_t kKeptChunks = 1024;

struct OptionDeleter {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

std::unique_ptr<nghttp2_option, OptionDeleter> MakeOptions() {
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  // Windows are given back when the app has taken the bytes.
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // Answers to PING and SETTINGS are counted by FloodGuard, with a better sentence.
  nghttp2_option_set_max_outbound_ack(option, kQueuedFrameLimit);
  // Apps that reset many established connections are no attack; resets of streams that were not
  // answered yet are counted by FloodGuard.
  nghttp2_option_set_stream_reset_rate_limit(option, 1u << 20, 1u << 16);
  return std::unique_ptr<nghttp2_option, OptionDeleter>(option);
}

nghttp2_data_provider Provider() {
  nghttp2_data_provider provider{};
  provider.read_callback = H2Callbacks::ReadData;
  return provider;
}

nghttp2_nv Field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

H2Session::H2Session(Role role, const Settings& settings, H2Events& events)
    : role_(role),
      header_limit_bytes_(role == Role::kClient ? kClientHeaderLimitBytes
                                                : kServerHeaderLimitBytes),
      events_(events),
      unanswered_resets_(100, 20),
      provoked_resets_(1000, 20),
      control_frames_(1000, 100) {
  const auto make =
      role == Role::kClient ? nghttp2_session_client_new2 : nghttp2_session_server_new2;
  make(&session_, H2Callbacks::Table(), this, MakeOptions().get());
  SubmitSettings(settings);
}

H2Session::~H2Session() {
  incoming_.reset();
  streams_.clear();
  stalled_.clear();
  nghttp2_session_del(session_);
}

void H2Session::SubmitSettings(const Settings& settings) {
  std::array<nghttp2_settings_entry, 4> list;
  size_t count = 0;
  if (role_ == Role::kClient) {
    list[count++] = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  } else {
    list[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.max_concurrent_streams};
  }
  list[count++] = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window_bytes};
  list[count++] = {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, settings.frame_size_bytes};
  list[count++] = {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
                   static_cast<uint32_t>(header_limit_bytes_)};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, list.data(), count);
  if (settings.connection_window_bytes > kDefaultWindowBytes) {
    nghttp2_submit_window_update(
        session_, NGHTTP2_FLAG_NONE, 0,
        static_cast<int32_t>(settings.connection_window_bytes) - kDefaultWindowBytes);
  }
}

Result<void> H2Session::Check(ssize_t result, const char* doing) {
  if (result >= 0) return {};
  if (flood_ != nullptr) {
    Terminate(NGHTTP2_ENHANCE_YOUR_CALM);
    return Fail(ErrorCode::kProtocol, std::string("the peer floods the tunnel with ") + flood_);
  }
  Terminate(result == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
  return Fail(ErrorCode::kProtocol,
              std::string("HTTP/2, ") + doing + ": " +
                  (detail_.empty() ? nghttp2_strerror(static_cast<int>(result)) : detail_));
}

Result<void> H2Session::Receive(ByteSpan frames) {
  chunks_.clear();
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(frames.data()), frames.size());
  if (auto ok = Check(used, "input"); !ok) return ok;
  if (nghttp2_session_get_outbound_queue_size(session_) > kQueuedFrameLimit) {
    flood_ = "frames that need answers, and does not read the answers";
    return Check(NGHTTP2_ERR_FLOODED, "output");
  }
  return {};
}

void H2Session::NoteBroken(const nghttp2_goaway& goaway) {
  broken_.assign(reinterpret_cast<const char*>(goaway.opaque_data), goaway.opaque_data_len);
  broken_ += std::string(broken_.empty() ? "" : " ") + "(" +
             nghttp2_http2_strerror(goaway.error_code) + ")";
}

void H2Session::MarkDirty(Stream& stream) {
  if (stream.dirty_) return;
  stream.dirty_ = true;
  dirty_.push_back(&stream);
}

void H2Session::MarkClosed(Stream& stream) {
  if (!stream.closed_) --active_;
  stream.closed_ = true;
}

void H2Session::DispatchTo(Stream& stream) {
  std::array<iovec, ByteQueue::kMaxIovecs> list;
  int32_t next = std::exchange(stream.first_chunk_, -1);
  stream.last_chunk_ = -1;
  while (next >= 0) {
    size_t count = 0;
    for (; next >= 0 && count < list.size(); ++count) {
      list[count] = chunks_[static_cast<size_t>(next)].bytes;
      next = chunks_[static_cast<size_t>(next)].next;
    }
    stream.Deliver({list.data(), count});
  }
  stream.Settle();
}

void H2Session::Dispatch() {
  // By index: Settle may mark more.
  for (size_t i = 0; i < dirty_.size(); ++i) {
    Stream* stream = dirty_[i];
    if (stream == nullptr) continue;
    stream->dirty_ = false;
    dirty_[i] = nullptr;
    DispatchTo(*stream);
  }
  dirty_.clear();
  chunks_.clear();
  if (chunks_.capacity() > kKeptChunks) chunks_.shrink_to_fit();
}

void H2Session::WakeStalled() {
  wake_needed_ = false;
  StreamList<StalledStreams> woken;
  woken.swap(stalled_);
  while (!woken.empty()) {
    Stream& stream = woken.front();
    woken.pop_front();
    if (stream.listener_ != nullptr) stream.listener_->OnWritable();
  }
}

bool H2Session::Stage(ByteSpan frames) {
  if (frames.size() > stage_.size() - staged_ && !FlushStage()) return false;
  if (frames.size() > stage_.size()) return sink_->WriteFrames(frames);
  std::memcpy(stage_.data() + staged_, frames.data(), frames.size());
  staged_ += frames.size();
  return true;
}

bool H2Session::FlushStage() {
  if (staged_ == 0) return true;
  return sink_->WriteFrames({stage_.data(), std::exchange(staged_, 0)});
}

Result<void> H2Session::Pump(FrameSink& sink) {
  // Small frames that leave together share one record.
  std::array<std::byte, kStageBytes> stage;
  sink_ = &sink;
  stage_ = stage;
  ssize_t size = 0;
  bool ok = true;
  while (ok && sink.HasRoom()) {
    const uint8_t* data = nullptr;
    size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) break;
    ok = Stage({reinterpret_cast<const std::byte*>(data), static_cast<size_t>(size)});
  }
  ok = ok && FlushStage();
  stage_ = {};
  sink_ = nullptr;
  if (!ok) return Fail(ErrorCode::kIo, "the tunnel's output is gone");
  if (size < 0) return Check(size, "output");
  // nghttp2 answers most faults of the peer by itself.
  if (!broken_.empty()) return Fail(ErrorCode::kProtocol, "HTTP/2, input: " + broken_);
  return {};
}

Result<void> H2Session::SubmitConnect(const ConnectRequest& request, Stream& stream) {
  const auto list = ToHeaderList(request);
  const auto provider = Provider();
  const int32_t id =
      nghttp2_submit_request(session_, nullptr, list.data(), list.size(), &provider, &stream);
  if (id < 0) {
    return Fail(ErrorCode::kUnavailable,
                std::string("the tunnel takes no more streams: ") + nghttp2_strerror(id));
  }
  stream.id_ = id;
  streams_.push_back(stream);
  ++active_;
  return {};
}

void H2Session::Accept(Stream& stream, const std::string& baggage) {
  const auto provider = Provider();
  std::array<nghttp2_nv, 2> list = {Field(":status", "200"), Field("baggage", baggage)};
  stream.answered_ = true;
  stream.headers_.reset();
  if (stream.closed_) return;
  nghttp2_submit_response(session_, stream.id_, list.data(), baggage.empty() ? 1 : 2, &provider);
}

void H2Session::Reject(Stream& stream, int status) {
  std::array<char, 4> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), status).ptr;
  const nghttp2_nv field = Field(":status", {text.data(), static_cast<size_t>(end - text.data())});
  stream.answered_ = true;
  stream.end_requested_ = true;
  if (!stream.closed_) nghttp2_submit_response(session_, stream.id_, &field, 1, nullptr);
}

void H2Session::Ping(uint64_t payload) {
  uint8_t bytes[8];
  std::memcpy(bytes, &payload, sizeof(bytes));
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, bytes);
}

void H2Session::AnnounceShutdown() { nghttp2_submit_shutdown_notice(session_); }

void H2Session::Shutdown() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void H2Session::Terminate(uint32_t error_code) {
  nghttp2_session_terminate_session(session_, error_code);
}

void H2Session::LoseAll(const Error& error) {
  incoming_.reset();
  active_ = 0;
  for (auto next = streams_.begin(); next != streams_.end();) {
    Stream& stream = *next++;
    stream.OnLost(error);
  }
}

bool H2Session::accepts_requests() const {
  return nghttp2_session_check_request_allowed(session_) != 0;
}

bool H2Session::finished() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

uint32_t H2Session::peer_max_streams() const {
  if (!peer_settings_seen_) return UINT32_MAX;
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

size_t H2Session::SendWindow(const Stream& stream) const {
  const int32_t window =
      std::min(nghttp2_session_get_stream_remote_window_size(session_, stream.id_),
               nghttp2_session_get_remote_window_size(session_));
  return window > 0 ? static_cast<size_t>(window) : 0;
}

void H2Session::Resume(Stream& stream) { nghttp2_session_resume_data(session_, stream.id_); }

void H2Session::Consume(const Stream& stream, size_t bytes) {
  nghttp2_session_consume(session_, stream.id_, bytes);
}

void H2Session::Reset(Stream& stream, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, error_code);
}

void H2Session::Stall(Stream& stream) {
  auto& hook = static_cast<StreamHook<StalledStreams>&>(stream);
  if (!hook.is_linked()) stalled_.push_back(stream);
}

void H2Session::Forget(Stream& stream) {
  if (stream.dirty_) std::ranges::replace(dirty_, &stream, nullptr);
  // The connection window that its bytes hold goes back to the peer.
  if (!stream.pending_.empty()) Consume(stream, stream.pending_.size());
  if (stream.id_ == 0 || stream.closed_) return stream.host_->Kick();
  MarkClosed(stream);
  nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
  const bool answered_fully = role_ == Role::kServer && stream.end_requested_;
  Reset(stream, answered_fully ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
  stream.host_->Kick();
}

}  // namespace ambit::hbone
