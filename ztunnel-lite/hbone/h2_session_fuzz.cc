// The server side of a tunnel's HTTP/2, fed with whatever a peer may send inside TLS. The first
// byte of the input says how the rest is cut into batches and whether the preface comes for free.

#include <algorithm>
#include <array>
#include <list>

#include "ztunnel-lite/hbone/h2_session.h"
#include "ztunnel-lite/hbone/worker.h"

namespace ambit::hbone {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint8_t kWithoutPreface = 0x80;

// Stands for an app that answers as much as it reads, and reads some streams slowly.
class EchoingApp final : public StreamListener {
 public:
  explicit EchoingApp(StreamPtr stream, bool slow) : stream_(std::move(stream)), slow_(slow) {
    stream_->Attach(this);
  }
  ~EchoingApp() override { stream_->Attach(nullptr); }

  size_t OnData(std::span<const iovec> chunks) override {
    size_t offered = 0;
    for (const iovec& chunk : chunks) {
      offered += chunk.iov_len;
      // Reads every byte, so that the sanitizer sees one that is not there.
      for (size_t i = 0; i < chunk.iov_len; ++i) sum_ += static_cast<uint8_t*>(chunk.iov_base)[i];
    }
    const size_t taken = slow_ ? offered / 2 : offered;
    to_write_ += taken;
    return taken;
  }
  void OnEnd() override { peer_ended_ = true; }
  void OnEndSent() override {}
  void OnWritable() override { Turn(); }
  void OnStopped() override { gone_ = true; }
  void OnReset(const Error&) override { gone_ = true; }

  void Turn() {
    if (gone_) return;
    while (to_write_ > 0 && !gone_) {
      const size_t part = std::min({to_write_, stream_->Writable(), size_t{1000}});
      if (part == 0) return;
      to_write_ -= part;
      stream_->Write(std::span(buffer_).subspan(Worker::kHeadroomBytes, part));
    }
    if (peer_ended_ && !gone_) stream_->End();
  }
  void Drain() {
    if (slow_ && !gone_) stream_->DeliverPending();
  }
  bool gone() const { return gone_; }

 private:
  StreamPtr stream_;
  const bool slow_;
  size_t to_write_ = 0;
  uint64_t sum_ = 0;
  bool peer_ended_ = false;
  bool gone_ = false;
  std::array<std::byte, Worker::kHeadroomBytes + 1000> buffer_{};
};

// What Connection is to the session, without a socket and without TLS.
class FuzzTunnel final : public StreamHost, public H2Events, public FrameSink {
 public:
  FuzzTunnel() : h2_(std::make_unique<H2Session>(H2Session::Role::kServer, Settings{}, *this)) {
    Kick();
  }
  ~FuzzTunnel() override {
    Lose(Error(ErrorCode::kCancelled, "end of the input"));
    apps_.clear();
    requests_.clear();
  }

  bool TakeBatch(ByteSpan frames) {
    busy_ = true;
    const auto received = h2_->Receive(frames);
    busy_ = false;
    h2_->Dispatch();
    if (!received) Lose(received.error());
    if (h2_->wake_needed()) h2_->WakeStalled();
    Kick();
    for (StreamPtr& request : std::exchange(requests_, {})) Answer(std::move(request));
    for (EchoingApp& app : apps_) app.Turn();
    for (EchoingApp& app : apps_) app.Drain();
    apps_.remove_if([](const EchoingApp& app) { return app.gone(); });
    return !failure_ && !h2_->finished();
  }

  H2Session& h2() override { return *h2_; }
  bool CanProduce() const override { return !failure_; }
  void Kick() override {
    if (failure_ || busy_) return;
    busy_ = true;
    const auto pumped = h2_->Pump(*this);
    busy_ = false;
    if (!pumped) Lose(pumped.error());
  }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

  StreamPtr MakeStream() override {
    return StreamPtr(new Stream({std::shared_ptr<void>(), this}, blocks_));
  }
  void OnRequest(StreamPtr stream) override { requests_.push_back(std::move(stream)); }
  void OnPong(uint64_t) override {}
  void OnPeerSettings() override {}
  void OnGoaway(uint32_t) override {}
  std::chrono::steady_clock::time_point Now() const override { return FloodGuard::Time{} + kOne; }
  bool HasRoom() const override { return true; }
  bool WriteFrames(ByteSpan frames) override {
    for (const std::byte byte : frames) sum_ += static_cast<uint8_t>(byte);
    return true;
  }

 private:
  static constexpr std::chrono::seconds kOne{1};

  void Answer(StreamPtr stream) {
    const auto headers = stream->TakeHeaders();
    const std::string& authority = headers->request().authority;
    if (headers->oversize() || headers->method() != "CONNECT" || authority.empty()) {
      h2_->Reject(*stream, headers->oversize() ? 431 : 400);
      return Kick();
    }
    h2_->Accept(*stream, headers->baggage());
    Kick();
    apps_.emplace_back(std::move(stream), authority.size() % 2 == 0);
  }
  // As a tunnel does it: later, from no stream's stack. Here the caller's stack is that place.
  void Lose(const Error& error) {
    if (failure_) return;
    failure_ = error;
    if (!busy_) h2_->LoseAll(error);
  }

  BlockPool blocks_;
  std::unique_ptr<H2Session> h2_;
  std::vector<StreamPtr> requests_;
  std::list<EchoingApp> apps_;
  std::optional<Error> failure_;
  bool busy_ = false;
  mutable uint64_t sum_ = 0;
};

void Run(ByteSpan input) {
  if (input.empty()) return;
  const auto mode = static_cast<uint8_t>(input.front());
  input = input.subspan(1);
  FuzzTunnel tunnel;
  if (!(mode & kWithoutPreface)) tunnel.TakeBatch(std::as_bytes(std::span(kPreface)));
  const size_t batch = size_t{1} << (mode % 16);
  while (!input.empty()) {
    const ByteSpan part = input.first(std::min(batch, input.size()));
    // A copy of its own, so that the sanitizer sees a byte kept beyond its batch.
    const Bytes copy(part.begin(), part.end());
    if (!tunnel.TakeBatch(copy)) return;
    input = input.subspan(part.size());
  }
}

}  // namespace
}  // namespace ambit::hbone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ambit::hbone::Run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
