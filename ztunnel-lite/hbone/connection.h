#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "ztunnel-lite/hbone/completion.h"
#include "ztunnel-lite/hbone/h2_session.h"
#include "ztunnel-lite/hbone/transport.h"
#include "ztunnel-lite/hbone/worker.h"
#include "ztunnel-lite/tls/ssl_session.h"

// Purpose  a tunnel's transport with TLS and HTTP/2 on it, either side: reads, writes, deadlines.
// Threads  its worker.
// Bounds   producers stop at kOutputLimitBytes of records the peer did not take, control frames at
//          twice that; what is held for apps is bounded by the connection window.
namespace ambit::hbone {

class Connection final : public StreamHost,
                         public H2Events,
                         public FrameSink,
                         public tls::CipherSink,
                         public TransportUser,
                         public std::enable_shared_from_this<Connection> {
 public:
  static constexpr size_t kOutputLimitBytes = 512 << 10;

  Connection(Worker& worker, std::unique_ptr<Transport> transport, const Settings& settings);
  ~Connection() override;

  // TLS, then our SETTINGS. Requests of the peer (server) go to `on_stream`, from inside the
  // session's parser. The peer's SETTINGS have the same deadline but are not waited for.
  boost::asio::awaitable<Result<void>> Establish(H2Session::Role role,
                                                 std::unique_ptr<tls::SslSession> session,
                                                 std::function<void(StreamPtr)> on_stream);
  // Until the tunnel has ended; success for a clean end.
  boost::asio::awaitable<Result<void>> Ended();

  // Server: announces the drain, and after a round trip refuses new streams.
  void StartDrain();
  // GOAWAY; the end once no stream is left.
  void Close();
  // The end now, with GOAWAY if there is room.
  void Fail(Error error);

  // Ends the tunnel if its peer has been revoked.
  void RecheckPeer();

  bool usable() const;
  size_t active_streams() const { return h2_ ? h2_->active_streams() : 0; }
  const std::string& peer_identity() const { return session_->peer_identity(); }
  Worker& worker() { return worker_; }
  Transport& transport() { return *transport_; }

  H2Session& h2() override { return *h2_; }
  bool CanProduce() const override;
  void Kick() override;
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

 private:
  enum class State { kHandshake, kOpen };

  StreamPtr MakeStream() override;
  void OnRequest(StreamPtr stream) override;
  void OnPong(uint64_t payload) override;
  void OnPeerSettings() override;
  void OnGoaway(uint32_t) override { goaway_received_ = true; }
  std::chrono::steady_clock::time_point Now() const override;
  bool HasRoom() const override;
  bool WriteFrames(ByteSpan frames) override;
  void Append(ByteSpan records) override { output_.Append(records); }

  void ArmRead();
  void OnReadable() override;
  void OnWritable() override { FlushTurn(); }
  bool Advance();
  bool ReadRecords();
  bool TakeBatch(ByteSpan frames);
  void OnEof();
  void ScheduleFlush();
  void FlushTurn();
  bool Flush();
  void FinishIfDone();
  void End(Error reason, bool clean);
  void ArmTimer(std::chrono::milliseconds delay);
  void OnTimer();

  Worker& worker_;
  std::unique_ptr<Transport> transport_;
  const Settings settings_;
  std::unique_ptr<tls::SslSession> session_;
  std::unique_ptr<H2Session> h2_;
  H2Session::Role role_ = H2Session::Role::kClient;
  std::function<void(StreamPtr)> on_stream_;
  ByteQueue output_;
  boost::asio::steady_timer timer_;  // handshake, then keepalive
  Completion established_;
  Completion ended_;
  std::optional<Error> failure_;                     // also set by a clean end
  std::chrono::steady_clock::time_point flushed_{};  // outside of a turn of its own, or tried to
  size_t posted_bytes_ = 0;                          // in `output_` when the flush was posted
  std::optional<Error> send_error_;                  // of the transport, once it has broken
  State state_ = State::kHandshake;
  bool clean_ = false;
  bool flush_posted_ = false;
  bool crowd_ = false;       // more than one message waited for the last flush
  bool crowd_seen_ = false;  // the same of the next one
  bool busy_ = false;        // inside the session's parser or serializer
  mutable bool held_back_ = false;
  bool goaway_received_ = false;
  bool close_requested_ = false;
  bool settings_received_ = false;
  bool awaiting_pong_ = false;
};

}  // namespace ambit::hbone
