#include "lib/http1/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <set>

#include "lib/http1/connection.h"
#include "lib/http1/listen.h"
#include "lib/net/socket.h"

namespace ambit::http1 {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// How long no connection is taken when the process has no descriptor left.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

// The file a unix socket was bound to, removed only if it still is that one: a successor may
// have put its own in the same place.
struct SocketFile {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;

  static SocketFile Of(const std::string& path) {
    struct stat status{};
    stat(path.c_str(), &status);
    return {path, status.st_dev, status.st_ino};
  }
  void Remove() const {
    struct stat status;
    if (path.empty() || stat(path.c_str(), &status) != 0) return;
    if (status.st_dev == device && status.st_ino == inode) unlink(path.c_str());
  }
};

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, UniqueFd listener, Limits limits, Handler handler)
      : listener_(io, listener.Release()),
        pause_(io),
        limits_(limits),
        handler_(std::make_shared<const Handler>(std::move(handler))) {}

  void Start() { asio::co_spawn(listener_.get_executor(), Accept(shared_from_this()), Ended); }
  void Stop();
  void Abort();

  SocketFile file;         // unix only
  net::Endpoint endpoint;  // TCP only

 private:
  using Connections = std::set<std::shared_ptr<Connection>>;

  // An exception here is lack of memory: the connection is gone, the server goes on.
  static void Ended(const std::exception_ptr&) {}
  static awaitable<void> Accept(std::shared_ptr<Impl> self);
  static awaitable<void> Run(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection);
  Result<void> TakeOne();
  void Adopt(UniqueFd socket, int family);
  // Stop() and Abort() change the set while connections end.
  Connections Open() const { return connections_; }

  asio::posix::stream_descriptor listener_;
  asio::steady_timer pause_;
  Limits limits_;
  std::shared_ptr<const Handler> handler_;
  Connections connections_;
};

awaitable<void> Server::Impl::Accept(std::shared_ptr<Impl> self) {
  while (self->listener_.is_open()) {
    auto [error] =
        co_await self->listener_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error) co_return;
    if (self->TakeOne()) continue;
    self->pause_.expires_after(kAcceptPause);
    co_await self->pause_.async_wait(kTuple);
  }
}

// Errors  kResourceExhausted and the like: the listener stays readable, so the caller waits.
Result<void> Server::Impl::TakeOne() {
  net::SocketAddress peer;
  UniqueFd socket(
      accept4(listener_.native_handle(), peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid()) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return {};
    return FailErrno(errno, "accept");
  }
  if (connections_.size() >= static_cast<size_t>(limits_.max_connections)) {
    // Best effort: a client that cannot take it sees the connection close.
    (void)!::send(socket.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return {};
  }
  Adopt(std::move(socket), file.path.empty() ? peer.storage.ss_family : AF_UNIX);
  return {};
}

void Server::Impl::Adopt(UniqueFd socket, int family) {
  net::PeerCredentials peer;
  if (family == AF_UNIX) {
    auto credentials = net::ReadPeerCredentials(socket.get());
    if (!credentials || (credentials->uid != 0 && credentials->uid != geteuid())) return;
    peer = *credentials;
  }
  error_code error;
  Connection::Socket stream(listener_.get_executor());
  stream.assign(asio::generic::stream_protocol(family, 0), socket.get(), error);
  if (error) return;
  socket.Release();
  auto connection = std::make_shared<Connection>(std::move(stream), peer, limits_, handler_);
  connections_.insert(connection);
  asio::co_spawn(listener_.get_executor(), Run(shared_from_this(), connection), Ended);
}

awaitable<void> Server::Impl::Run(std::shared_ptr<Impl> self,
                                  std::shared_ptr<Connection> connection) {
  try {
    co_await connection->Serve();
  } catch (const std::exception&) {
    connection->Abort();
  }
  self->connections_.erase(connection);
}

void Server::Impl::Stop() {
  if (listener_.is_open()) file.Remove();
  error_code ignored;
  listener_.close(ignored);
  pause_.cancel();
  for (const auto& connection : Open()) connection->Finish();
}

void Server::Impl::Abort() {
  Stop();
  for (const auto& connection : Open()) connection->Abort();
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { impl_->Abort(); }

Result<std::unique_ptr<Server>> Server::ListenUnix(asio::io_context& io, const std::string& path,
                                                   Limits limits, Handler handler) {
  auto listener = ListenStream(path);
  if (!listener) return Fail(std::move(listener).error());
  auto impl = std::make_shared<Impl>(io, std::move(*listener), limits, std::move(handler));
  impl->file = SocketFile::Of(path);
  impl->Start();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Result<std::unique_ptr<Server>> Server::ListenTcp(asio::io_context& io,
                                                  const net::Endpoint& endpoint, Limits limits,
                                                  Handler handler) {
  auto listener = net::ListenTcp(endpoint, {});
  if (!listener) return Fail(std::move(listener).error());
  auto local = net::LocalEndpoint(listener->get());
  if (!local) return Fail(std::move(local).error());
  auto impl = std::make_shared<Impl>(io, std::move(*listener), limits, std::move(handler));
  impl->endpoint = *local;
  impl->Start();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

net::Endpoint Server::local_endpoint() const { return impl_->endpoint; }

void Server::Stop() { impl_->Stop(); }

}  // namespace ambit::http1
