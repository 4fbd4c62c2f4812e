#include "ztunnel-lite/proxy/testing/test_gateway.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lib/net/netns.h"
#include "lib/net/socket.h"

namespace ambit::proxy::testing {

namespace asio = boost::asio;

TestGateway::TestGateway(const PodNetwork::Pod& pod, uint16_t port, tls::CredentialPtr credential,
                         net::Endpoint server)
    : netns_(pod.netns.Duplicate().value()),
      credential_(std::move(credential)),
      server_(server),
      listener_(net::InNetns(netns_.get(),
                             [&]() -> Result<UniqueFd> {
                               return net::ListenTcp({pod.ipv4, port}, net::ListenOptions{});
                             })
                    .value()),
      thread_(WorkerThread::Start(9).value()) {
  asio::co_spawn(thread_->io(), AcceptAll(), asio::detached);
}

TestGateway::~TestGateway() {
  std::lock_guard lock(mutex_);
  // Their stream would outlive the worker.
  asio::post(thread_->io(), [calls = std::move(swallowed_)] {});
}

asio::awaitable<void> TestGateway::AcceptAll() {
  asio::posix::stream_descriptor waiter(thread_->io(), listener_.Release());
  while (true) {
    auto [error] = co_await waiter.async_wait(asio::posix::stream_descriptor::wait_read,
                                              asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    UniqueFd tcp(accept4(waiter.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (tcp.valid()) asio::co_spawn(thread_->io(), Serve(std::move(tcp)), asio::detached);
  }
}

asio::awaitable<void> TestGateway::Serve(UniqueFd tcp) {
  auto handler = [this](hbone::ServerTunnel&, std::unique_ptr<hbone::ConnectCall> call) {
    return PassOn(std::move(call));
  };
  auto tunnel = co_await hbone::ServerTunnel::Establish(thread_->worker(), std::move(tcp),
                                                        credential_, {}, handler);
  if (!tunnel) co_return;
  {
    std::lock_guard lock(mutex_);
    ++tunnels_;
  }
  (void)co_await (*tunnel)->Run();
  std::lock_guard lock(mutex_);
  --tunnels_;
}

asio::awaitable<void> TestGateway::PassOn(std::unique_ptr<hbone::ConnectCall> call) {
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(call->request());
    if (swallow_) {
      swallowed_.push_back(std::move(call));
      co_return;
    }
  }
  auto upstream = net::InNetns(netns_.get(), [this]() -> Result<UniqueFd> {
    auto socket = net::MakeTcpSocket(server_.address.family());
    if (socket) (void)net::StartConnect(socket->get(), server_);
    return socket;
  });
  pollfd connected{upstream->get(), POLLOUT, 0};
  poll(&connected, 1, 10000);
  auto stream = call->Accept("");
  call.reset();
  hbone::RelayControl control;
  (void)co_await hbone::RelayStream(thread_->worker(), std::move(stream), std::move(*upstream), {},
                                    control);
}

void TestGateway::Swallow() {
  std::lock_guard lock(mutex_);
  swallow_ = true;
}

std::vector<hbone::ConnectRequest> TestGateway::Requests() {
  std::lock_guard lock(mutex_);
  return requests_;
}

size_t TestGateway::Tunnels() {
  std::lock_guard lock(mutex_);
  return tunnels_;
}

}  // namespace ambit::proxy::testing
