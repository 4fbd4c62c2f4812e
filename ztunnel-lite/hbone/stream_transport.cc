#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "lib/base/bytes.h"
#include "ztunnel-lite/hbone/stream.h"
#include "ztunnel-lite/hbone/transport.h"

namespace ambit::hbone {
namespace {

constexpr size_t kFrameHeaderBytes = 9;
// With its frame header a full write is a whole number of TLS records.
constexpr size_t kWriteBytes = Worker::kScratchBytes - kFrameHeaderBytes;

// The stream calls from inside its tunnel's parser or serializer, while the worker's scratch holds
// that tunnel's bytes. So its calls are only noted, and the user is told in a turn of its own.
class StreamTransport final : public Transport, private StreamListener {
 public:
  StreamTransport(Worker& worker, StreamPtr stream)
      : worker_(worker), stream_(std::move(stream)), timer_(worker.io()) {
    stream_->Attach(this);
  }
  // A stream that the peer has not ended is reset with it.
  ~StreamTransport() override { stream_->Attach(nullptr); }

  Result<std::optional<size_t>> Receive(std::span<std::byte> buffer) override;
  Result<std::optional<size_t>> Send(std::span<const iovec> chunks) override;
  void WhenReadable(std::shared_ptr<TransportUser> user) override;
  void WhenWritable(std::shared_ptr<TransportUser> user) override;
  bool sends_anywhere() const override { return false; }
  void Close() override;
  boost::asio::awaitable<void> WaitClosed(std::chrono::milliseconds limit) override;

 private:
  size_t OnData(std::span<const iovec> chunks) override;
  void OnEnd() override;
  void OnEndSent() override;
  void OnWritable() override { WakeWriter(); }
  void OnStopped() override;
  void OnReset(const Error& error) override;

  void WakeReader();
  void WakeWriter();
  bool over() const { return broken_ || stopped_ || (ended_ && end_sent_); }
  void TellIfOver() {
    if (over()) timer_.cancel();
  }

  Worker& worker_;
  StreamPtr stream_;
  std::shared_ptr<TransportUser> reader_;
  std::shared_ptr<TransportUser> writer_;
  std::span<std::byte> inbox_;  // what Receive has left to fill
  boost::asio::steady_timer timer_;
  std::optional<Error> broken_;
  bool ended_ = false;     // by the peer, and everything before was taken
  bool end_sent_ = false;  // END_STREAM is on its way
  bool stopped_ = false;   // the peer wants no more
  bool closed_ = false;
};

Result<std::optional<size_t>> StreamTransport::Receive(std::span<std::byte> buffer) {
  if (stream_->pending_bytes() > 0) {
    inbox_ = buffer;
    stream_->DeliverPending();
    const size_t got = buffer.size() - std::exchange(inbox_, {}).size();
    if (got > 0) return got;
  }
  if (broken_) return std::unexpected(*broken_);
  if (ended_) return 0;
  return std::nullopt;
}

size_t StreamTransport::OnData(std::span<const iovec> chunks) {
  size_t taken = 0;
  for (const iovec& chunk : chunks) {
    ByteSpan bytes(static_cast<const std::byte*>(chunk.iov_base), chunk.iov_len);
    if (!closed_) {
      bytes = bytes.first(std::min(bytes.size(), inbox_.size()));
      std::ranges::copy(bytes, inbox_.begin());
      inbox_ = inbox_.subspan(bytes.size());
    }
    taken += bytes.size();
  }
  if (taken == 0) WakeReader();
  return taken;
}

Result<std::optional<size_t>> StreamTransport::Send(std::span<const iovec> chunks) {
  if (broken_) return std::unexpected(*broken_);
  if (stopped_) return Fail(ErrorCode::kUnavailable, "the peer takes no more of the stream");
  const std::span<std::byte> buffer =
      worker_.read_scratch().first(std::min(stream_->Writable(), kWriteBytes));
  if (buffer.empty()) return std::nullopt;
  size_t filled = 0;
  for (const iovec& chunk : chunks) {
    const size_t part = std::min(chunk.iov_len, buffer.size() - filled);
    std::copy_n(static_cast<const std::byte*>(chunk.iov_base), part, buffer.begin() + filled);
    filled += part;
  }
  stream_->Write(buffer.first(filled));
  return filled;
}

void StreamTransport::WhenReadable(std::shared_ptr<TransportUser> user) {
  if (reader_ || closed_) return;
  reader_ = std::move(user);
  if (stream_->pending_bytes() > 0 || ended_ || broken_) WakeReader();
}

void StreamTransport::WhenWritable(std::shared_ptr<TransportUser> user) {
  if (writer_ || closed_) return;
  writer_ = std::move(user);
  if (broken_ || stopped_) WakeWriter();
}

void StreamTransport::WakeReader() {
  if (!reader_) return;
  boost::asio::post(worker_.io(), [user = std::exchange(reader_, nullptr)] { user->OnReadable(); });
}

void StreamTransport::WakeWriter() {
  if (!writer_) return;
  boost::asio::post(worker_.io(), [user = std::exchange(writer_, nullptr)] { user->OnWritable(); });
}

void StreamTransport::OnEnd() {
  ended_ = true;
  WakeReader();
  TellIfOver();
}

void StreamTransport::OnEndSent() {
  end_sent_ = true;
  TellIfOver();
}

void StreamTransport::OnStopped() {
  stopped_ = true;
  WakeWriter();
  TellIfOver();
}

void StreamTransport::OnReset(const Error& error) {
  broken_ = error;
  WakeReader();
  WakeWriter();
  TellIfOver();
}

void StreamTransport::Close() {
  if (std::exchange(closed_, true)) return;
  // Not by a reset: it could overtake what a gateway still has to pass on.
  reader_.reset();
  writer_.reset();
  stream_->End();
  stream_->DeliverPending();
}

boost::asio::awaitable<void> StreamTransport::WaitClosed(std::chrono::milliseconds limit) {
  if (over()) co_return;
  timer_.expires_after(limit);
  co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace

std::unique_ptr<Transport> MakeStreamTransport(Worker& worker, StreamPtr stream) {
  return std::make_unique<StreamTransport>(worker, std::move(stream));
}

}  // namespace ambit::hbone
