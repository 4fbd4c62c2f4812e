#include <utility>

#include "ztunnel-lite/hbone/connection.h"
#include "ztunnel-lite/hbone/tunnel.h"

namespace ambit::hbone {
namespace {

namespace asio = boost::asio;

using Opened = ClientTunnel::Opened;

Result<Opened> Outcome(StreamPtr stream, const std::string& authority,
                       std::chrono::milliseconds timeout) {
  const std::string what = "CONNECT " + authority;
  if (stream->answered()) {
    const auto headers = stream->TakeHeaders();
    if (headers->oversize())
      return Fail(ErrorCode::kProtocol, what + ": response headers too large");
    if (headers->status() != 200) {
      return Fail(ErrorCode::kUnavailable,
                  what + ": the peer answered with status " + std::to_string(headers->status()));
    }
    return Opened{std::move(stream), {headers->status(), headers->baggage()}};
  }
  if (const Error* error = stream->host().failure()) return std::unexpected(error->Wrap(what));
  if (stream->closed()) {
    return Fail(ErrorCode::kUnavailable, what + ": the peer reset the stream (" +
                                             nghttp2_http2_strerror(stream->reset_code()) + ")");
  }
  return Fail(ErrorCode::kTimedOut,
              what + ": no answer within " + std::to_string(timeout.count()) + " ms");
}

class Client final : public ClientTunnel {
 public:
  explicit Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  // Streams that are open keep their connection until they end.
  ~Client() override { connection_->Close(); }

  asio::awaitable<Result<Opened>> OpenStream(ConnectRequest request,
                                             std::chrono::milliseconds timeout) override {
    // The tunnel object may go while this waits.
    auto connection = connection_;
    if (!connection->usable()) {
      if (const Error* error = connection->failure()) co_return std::unexpected(*error);
      co_return Fail(ErrorCode::kUnavailable, "the tunnel takes no more streams (GOAWAY)");
    }
    StreamPtr stream(new Stream(connection, connection->worker().blocks()));
    if (auto ok = connection->h2().SubmitConnect(request, *stream); !ok) {
      co_return std::unexpected(ok.error());
    }
    asio::steady_timer timer(connection->worker().io(), timeout);
    stream->SetAnswerTimer(&timer);
    connection->Kick();
    if (!stream->answered() && !stream->closed()) {
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    stream->SetAnswerTimer(nullptr);
    co_return Outcome(std::move(stream), request.authority, timeout);
  }

  bool usable() const override { return connection_->usable(); }
  size_t active_streams() const override { return connection_->active_streams(); }
  uint32_t peer_max_streams() const override { return connection_->h2().peer_max_streams(); }
  const std::string& peer_identity() const override { return connection_->peer_identity(); }
  void Close() override { connection_->Close(); }
  asio::awaitable<void> WaitClosed(std::chrono::milliseconds limit) override {
    auto connection = connection_;
    co_await connection->transport().WaitClosed(limit);
  }

 private:
  std::shared_ptr<Connection> connection_;
};

asio::awaitable<Result<std::shared_ptr<ClientTunnel>>> EstablishOn(
    Worker& worker, std::unique_ptr<Transport> transport, tls::CredentialPtr credential,
    std::vector<std::string> expected_sans, Settings settings) {
  auto connection = std::make_shared<Connection>(worker, std::move(transport), settings);
  auto session = tls::SslSession::Client(std::move(credential), std::move(expected_sans),
                                         *connection, settings.peer_rules);
  if (!session) co_return std::unexpected(session.error());
  auto ready = co_await connection->Establish(H2Session::Role::kClient, std::move(*session), {});
  if (!ready) co_return std::unexpected(ready.error());
  co_return std::make_shared<Client>(std::move(connection));
}

}  // namespace

asio::awaitable<Result<std::shared_ptr<ClientTunnel>>> ClientTunnel::Establish(
    Worker& worker, UniqueFd tcp, tls::CredentialPtr credential,
    std::vector<std::string> expected_sans, Settings settings) {
  return EstablishOn(worker, MakeSocketTransport(worker, std::move(tcp)), std::move(credential),
                     std::move(expected_sans), settings);
}

asio::awaitable<Result<std::shared_ptr<ClientTunnel>>> ClientTunnel::EstablishInside(
    Worker& worker, StreamPtr outer, tls::CredentialPtr credential,
    std::vector<std::string> expected_sans, Settings settings) {
  return EstablishOn(worker, MakeStreamTransport(worker, std::move(outer)), std::move(credential),
                     std::move(expected_sans), settings);
}

}  // namespace ambit::hbone
