#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "ztunnel-lite/hbone/connection.h"
#include "ztunnel-lite/hbone/tunnel.h"

namespace ambit::hbone {
namespace {

namespace asio = boost::asio;

constexpr int kHeadersTooLarge = 431;
constexpr int kUnavailable = 503;

class Call final : public ConnectCall {
 public:
  Call(std::shared_ptr<Connection> connection, StreamPtr stream)
      : connection_(std::move(connection)),
        stream_(std::move(stream)),
        headers_(stream_->TakeHeaders()) {}
  ~Call() override {
    if (stream_) Reject(kUnavailable);
  }

  const std::string& method() const override { return headers_->method(); }
  const ConnectRequest& request() const override { return headers_->request(); }
  StreamPtr Accept(const std::string& baggage) override {
    connection_->h2().Accept(*stream_, baggage);
    connection_->Kick();
    return std::move(stream_);
  }
  void Reject(int status) override {
    connection_->h2().Reject(*stream_, status);
    connection_->Kick();
    stream_.reset();
  }

 private:
  std::shared_ptr<Connection> connection_;
  StreamPtr stream_;
  std::unique_ptr<HeaderBlock> headers_;
};

class Server final : public ServerTunnel, public std::enable_shared_from_this<Server> {
 public:
  Server(std::shared_ptr<Connection> connection, Handler handler)
      : connection_(std::move(connection)), handler_(std::move(handler)) {}

  // Requests only reach the handler while this object lives.
  std::function<void(StreamPtr)> StreamSink() {
    return [weak = weak_from_this()](StreamPtr stream) {
      auto self = weak.lock();
      if (!self) return;
      // Not from inside the parser: a handler may want to write, and the worker's buffers are in
      // use.
      asio::post(self->connection_->worker().io(), [self, stream = std::move(stream)]() mutable {
        self->OnStream(std::move(stream));
      });
    };
  }

  asio::awaitable<Result<void>> Run() override {
    auto self = shared_from_this();
    co_return co_await connection_->Ended();
  }
  const std::string& peer_identity() const override { return connection_->peer_identity(); }
  size_t active_streams() const override { return connection_->active_streams(); }
  void StartDrain() override { connection_->StartDrain(); }
  void Abort() override {
    connection_->Fail(Error(ErrorCode::kCancelled, "the tunnel was ended on request"));
  }

 private:
  void OnStream(StreamPtr stream) {
    if (stream->headers()->oversize()) {
      connection_->h2().Reject(*stream, kHeadersTooLarge);
      return connection_->Kick();
    }
    auto call = std::make_unique<Call>(connection_, std::move(stream));
    asio::co_spawn(connection_->worker().io(), Serve(shared_from_this(), std::move(call)),
                   asio::detached);
  }
  static asio::awaitable<void> Serve(std::shared_ptr<Server> self,
                                     std::unique_ptr<ConnectCall> call) {
    co_await self->handler_(*self, std::move(call));
  }

  std::shared_ptr<Connection> connection_;
  Handler handler_;
};

}  // namespace

asio::awaitable<Result<std::shared_ptr<ServerTunnel>>> ServerTunnel::Establish(
    Worker& worker, UniqueFd tcp, tls::CredentialPtr credential, Settings settings,
    Handler handler) {
  auto connection =
      std::make_shared<Connection>(worker, MakeSocketTransport(worker, std::move(tcp)), settings);
  auto session = tls::SslSession::Server(std::move(credential), *connection, settings.peer_rules);
  if (!session) co_return std::unexpected(session.error());
  auto server = std::make_shared<Server>(connection, std::move(handler));
  auto ready = co_await connection->Establish(H2Session::Role::kServer, std::move(*session),
                                              server->StreamSink());
  if (!ready) co_return std::unexpected(ready.error());
  co_return server;
}

}  // namespace ambit::hbone
