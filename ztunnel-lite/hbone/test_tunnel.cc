#include "ztunnel-lite/hbone/test_tunnel.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "lib/net/socket.h"

namespace ambit::hbone {
namespace {

namespace asio = boost::asio;

template <typename T>
T Must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "test tunnel: %s\n", result.error().message().c_str());
  std::abort();
}

asio::awaitable<RelayResult> RelayClient(Worker& worker, StreamPtr stream, UniqueFd app,
                                         RelayOptions options,
                                         std::shared_ptr<RelayControl> control) {
  co_return co_await RelayStream(worker, std::move(stream), std::move(app), std::move(options),
                                 *control);
}

asio::awaitable<Result<void>> Talk(Worker& worker, UniqueFd tcp, UniqueFd app,
                                   tls::CredentialPtr credential, Settings settings,
                                   ConnectRequest request) {
  auto tunnel = co_await ClientTunnel::Establish(worker, std::move(tcp), std::move(credential),
                                                 {TestTunnel::kServer}, settings);
  if (!tunnel) co_return std::unexpected(tunnel.error());
  auto opened = co_await (*tunnel)->OpenStream(std::move(request), std::chrono::seconds(10));
  if (!opened) co_return std::unexpected(opened.error());
  RelayControl control;
  RelayResult result =
      co_await RelayStream(worker, std::move(opened->stream), std::move(app), {}, control);
  co_return std::move(result.outcome);
}

}  // namespace

void SetBlocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  const timeval limit{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

TcpPair MakeTcpPair() {
  UniqueFd listener =
      Must(net::ListenTcp({net::IpAddress::Loopback(net::Family::kIpv4), 0}, net::ListenOptions{}));
  UniqueFd near = Must(net::MakeTcpSocket(net::Family::kIpv4));
  (void)net::StartConnect(near.get(), Must(net::LocalEndpoint(listener.get())));
  pollfd ready{listener.get(), POLLIN, 0};
  poll(&ready, 1, 10000);
  UniqueFd far(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  pollfd connected{near.get(), POLLOUT, 0};
  poll(&connected, 1, 10000);
  return {std::move(near), std::move(far)};
}

ConnectRequest PlainRequest() {
  ConnectRequest request;
  request.authority = "10.0.0.1:80";
  return request;
}

WorkerThread::WorkerThread()
    : worker_(std::make_unique<Worker>()),
      guard_(asio::make_work_guard(worker_->io())),
      thread_([this] { worker_->io().run(); }) {}

WorkerThread::~WorkerThread() {
  worker_->io().stop();
  thread_.join();
  guard_.reset();
  worker_.reset();
}

std::chrono::nanoseconds WorkerThread::CpuTime() {
  clockid_t clock{};
  pthread_getcpuclockid(thread_.native_handle(), &clock);
  timespec time{};
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TestTunnel::TestTunnel(Settings client, Settings server)
    : TestTunnel(tls::TestMeshCa(), client, server) {}

TestTunnel::TestTunnel(const tls::TestMeshCa& ca, Settings client, Settings server)
    : client_credential_(ca.Credential({.uri = kClient})),
      server_credential_(ca.Credential({.uri = kServer})) {
  TcpPair tcp = MakeTcpPair();
  server_ended_ = Serve(std::move(tcp.far), server);
  client_ =
      Must(asio::co_spawn(client_thread_.worker().io(),
                          ClientTunnel::Establish(client_thread_.worker(), std::move(tcp.near),
                                                  client_credential_, {kServer}, client),
                          asio::use_future)
               .get());
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !servers_.empty(); });
}

TestTunnel::~TestTunnel() {
  OnClient([this](ClientTunnel&) { client_.reset(); });
  OnServer([this](ServerTunnel&) {
    std::lock_guard lock(mutex_);
    for (auto& server : servers_) server->Abort();
    servers_.clear();
    closing_ = true;
  });
}

std::future<Result<void>> TestTunnel::Serve(UniqueFd tcp, Settings settings) {
  return asio::co_spawn(server_thread_.worker().io(), RunServer(std::move(tcp), settings),
                        asio::use_future);
}

std::future<Result<void>> TestTunnel::Dial(UniqueFd tcp, UniqueFd app, Settings settings,
                                           ConnectRequest request) {
  return asio::co_spawn(client_thread_.worker().io(),
                        Talk(client_thread_.worker(), std::move(tcp), std::move(app),
                             client_credential_, settings, std::move(request)),
                        asio::use_future);
}

asio::awaitable<Result<void>> TestTunnel::RunServer(UniqueFd tcp, Settings settings) {
  auto handler = [this](ServerTunnel&, std::unique_ptr<ConnectCall> call) {
    return Answer(std::move(call));
  };
  auto server = co_await ServerTunnel::Establish(server_thread_.worker(), std::move(tcp),
                                                 server_credential_, settings, handler);
  if (!server) co_return std::unexpected(server.error());
  {
    std::lock_guard lock(mutex_);
    // One that is ready only now ends with its worker.
    if (!closing_) servers_.push_back(*server);
  }
  changed_.notify_all();
  co_return co_await (*server)->Run();
}

asio::awaitable<void> TestTunnel::Answer(std::unique_ptr<ConnectCall> call) {
  if (call->method() != "CONNECT") co_return call->Reject(400);
  if (call->request().authority == "deny:1") co_return call->Reject(401);
  TcpPair app = MakeTcpPair();
  SetBlocking(app.near.get());
  {
    std::lock_guard lock(mutex_);
    last_request_ = call->request();
    server_apps_.push_back(std::move(app.near));
  }
  changed_.notify_all();
  StreamPtr stream = call->Accept("k8s.namespace.name=default");
  call.reset();
  auto control = std::make_shared<RelayControl>();
  last_server_control_ = control;
  RelayResult result = co_await RelayStream(server_thread_.worker(), std::move(stream),
                                            std::move(app.far), {}, *control);
  {
    std::lock_guard lock(mutex_);
    server_results_.push_back(std::move(result));
  }
  changed_.notify_all();
}

Result<Link> TestTunnel::Open(RelayOptions options, const std::string& authority) {
  ConnectRequest request;
  request.authority = authority;
  request.baggage = "k8s.namespace.name=default";
  request.forwarded = "for=\"10.244.1.5:41234\"";
  auto opened = asio::co_spawn(client_thread_.worker().io(),
                               client_->OpenStream(std::move(request), std::chrono::seconds(10)),
                               asio::use_future)
                    .get();
  if (!opened) return std::unexpected(opened.error());
  TcpPair app = MakeTcpPair();
  SetBlocking(app.near.get());
  Link link;
  link.client_app = std::move(app.near);
  link.client_control = std::make_shared<RelayControl>();
  link.client_result =
      asio::co_spawn(client_thread_.worker().io(),
                     RelayClient(client_thread_.worker(), std::move(opened->stream),
                                 std::move(app.far), std::move(options), link.client_control),
                     asio::use_future);
  link.server_app = NextServerApp();
  return link;
}

UniqueFd TestTunnel::NextServerApp() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !server_apps_.empty(); });
  UniqueFd app = std::move(server_apps_.front());
  server_apps_.pop_front();
  return app;
}

RelayResult TestTunnel::NextServerResult() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !server_results_.empty(); });
  RelayResult result = std::move(server_results_.front());
  server_results_.pop_front();
  return result;
}

ConnectRequest TestTunnel::LastRequest() {
  std::lock_guard lock(mutex_);
  return last_request_;
}

void TestTunnel::OnClient(const std::function<void(ClientTunnel&)>& work) {
  std::promise<void> done;
  asio::post(client_thread_.worker().io(), [&] {
    work(*client_);
    done.set_value();
  });
  done.get_future().wait();
}

void TestTunnel::OnServer(const std::function<void(ServerTunnel&)>& work) {
  std::promise<void> done;
  asio::post(server_thread_.worker().io(), [&] {
    work(*servers_.front());
    done.set_value();
  });
  done.get_future().wait();
}

size_t SendAll(int fd, std::string_view bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t part = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (part <= 0) break;
    sent += static_cast<size_t>(part);
  }
  return sent;
}

std::string ReceiveExactly(int fd, size_t size) {
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t part = recv(fd, bytes.data() + got, size - got, 0);
    if (part <= 0) break;
    got += static_cast<size_t>(part);
  }
  bytes.resize(got);
  return bytes;
}

int ReadError(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, 0) < 0 ? errno : 0;
}

std::string Pattern(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string ReceiveAll(int fd) {
  std::string bytes;
  char buffer[65536];
  ssize_t part = 0;
  while ((part = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
    bytes.append(buffer, static_cast<size_t>(part));
  }
  return bytes;
}

}  // namespace ambit::hbone
