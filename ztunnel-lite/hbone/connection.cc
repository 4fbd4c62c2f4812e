#include "ztunnel-lite/hbone/connection.h"

#include <boost/asio/post.hpp>

namespace ambit::hbone {
namespace {

// Opaque data that tells our two kinds of PING apart.
constexpr uint64_t kKeepalivePing = 0x65766c6174696261;
constexpr uint64_t kDrainPing = 0x6e6961726474696d;

}  // namespace

Connection::Connection(Worker& worker, std::unique_ptr<Transport> transport,
                       const Settings& settings)
    : worker_(worker),
      transport_(std::move(transport)),
      settings_(settings),
      output_(worker.blocks()),
      timer_(worker.io()),
      established_(worker.io()),
      ended_(worker.io()) {}

Connection::~Connection() {
  worker_.revocable().erase(this);
  if (!h2_) return;
  // The stream of a half-received request dies with us; nothing it says can leave any more.
  busy_ = true;
  h2_->DropIncoming();
}

boost::asio::awaitable<Result<void>> Connection::Establish(
    H2Session::Role role, std::unique_ptr<tls::SslSession> session,
    std::function<void(StreamPtr)> on_stream) {
  auto self = shared_from_this();
  role_ = role;
  session_ = std::move(session);
  on_stream_ = std::move(on_stream);
  ArmTimer(settings_.handshake_timeout);
  if (Advance()) ArmRead();
  co_await established_.Wait();
  if (failure_) co_return std::unexpected(*failure_);
  if (!established_.is_set()) {
    Fail(Error(ErrorCode::kCancelled, "TLS handshake was cancelled"));
    co_return std::unexpected(*failure_);
  }
  co_return Result<void>{};
}

boost::asio::awaitable<Result<void>> Connection::Ended() {
  auto self = shared_from_this();
  co_await ended_.Wait();
  if (!failure_) co_return ambit::Fail(ErrorCode::kCancelled, "serving the tunnel was cancelled");
  if (!clean_) co_return std::unexpected(*failure_);
  co_return Result<void>{};
}

void Connection::StartDrain() {
  if (failure_ || !h2_ || close_requested_) return;
  close_requested_ = true;
  h2_->AnnounceShutdown();
  h2_->Ping(kDrainPing);
  Kick();
}

void Connection::Close() {
  if (failure_ || close_requested_) return;
  close_requested_ = true;
  if (!h2_) return Fail(Error(ErrorCode::kCancelled, "the tunnel was closed during its handshake"));
  h2_->Shutdown();
  Kick();
}

void Connection::Fail(Error error) { End(std::move(error), false); }

void Connection::End(Error reason, bool clean) {
  if (failure_) return;
  failure_ = std::move(reason);
  clean_ = clean;
  timer_.cancel();
  if (h2_ && !busy_) {
    if (!clean) h2_->Terminate(NGHTTP2_NO_ERROR);
    (void)h2_->Pump(*this);
    session_->Close();
  }
  (void)Flush();
  transport_->Close();
  established_.Set();
  ended_.Set();
  // Later, because this can be the stack of one of the streams.
  boost::asio::post(worker_.io(), [self = shared_from_this()] {
    if (self->h2_) self->h2_->LoseAll(*self->failure_);
  });
}

void Connection::RecheckPeer() {
  if (failure_) return;
  auto checked = session_->RecheckPeer();
  if (!checked) Fail(checked.error().Wrap("the tunnel was ended"));
}

void EndRevokedTunnels(Worker& worker) {
  // Ending one may end others with it.
  std::vector<std::shared_ptr<Connection>> connections;
  for (Connection* connection : worker.revocable()) {
    connections.push_back(connection->shared_from_this());
  }
  for (const auto& connection : connections) connection->RecheckPeer();
}

bool Connection::usable() const {
  return !failure_ && h2_ && !goaway_received_ && !close_requested_ && h2_->accepts_requests();
}

StreamPtr Connection::MakeStream() {
  return StreamPtr(new Stream({std::shared_ptr<void>(), this}, worker_.blocks()));
}

void Connection::OnRequest(StreamPtr stream) {
  stream->KeepHost(shared_from_this());
  on_stream_(std::move(stream));
}

std::chrono::steady_clock::time_point Connection::Now() const {
  return std::chrono::steady_clock::now();
}

void Connection::ArmTimer(std::chrono::milliseconds delay) {
  timer_.expires_after(delay);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;
    if (auto self = weak.lock()) self->OnTimer();
  });
}

void Connection::OnTimer() {
  const auto text = [](std::chrono::milliseconds time) {
    return std::to_string(time.count()) + " ms";
  };
  if (state_ == State::kHandshake) {
    return Fail(Error(ErrorCode::kTimedOut, "TLS handshake with the peer did not end within " +
                                                text(settings_.handshake_timeout)));
  }
  if (!settings_received_) {
    return Fail(Error(ErrorCode::kTimedOut, "the peer sent no HTTP/2 SETTINGS within " +
                                                text(settings_.handshake_timeout)));
  }
  if (awaiting_pong_) {
    return Fail(Error(ErrorCode::kTimedOut, "the peer did not answer a PING within " +
                                                text(settings_.ping_timeout) +
                                                "; the node or the network between is gone"));
  }
  awaiting_pong_ = true;
  ArmTimer(settings_.ping_timeout);
  h2_->Ping(kKeepalivePing);
  Kick();
}

void Connection::OnPeerSettings() {
  if (std::exchange(settings_received_, true)) return;
  ArmTimer(settings_.ping_interval);
}

void Connection::OnPong(uint64_t payload) {
  if (payload == kDrainPing && close_requested_) return h2_->Shutdown();
  if (payload != kKeepalivePing || !std::exchange(awaiting_pong_, false)) return;
  ArmTimer(settings_.ping_interval);
}

}  // namespace ambit::hbone
