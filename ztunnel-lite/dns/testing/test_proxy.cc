#include "ztunnel-lite/dns/testing/test_proxy.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>
#include <future>

namespace ambit::dns::testing {

namespace asio = boost::asio;

namespace {

void Check(bool condition) {
  if (condition) return;
  std::fputs("test proxy: cannot serve, or still busy at its end\n", stderr);
  std::abort();
}
void Check(const Result<void>& result) { Check(result.has_value()); }

}  // namespace

TestProxy::TestProxy(Server::Context context, Server::Options options)
    : server_(std::make_unique<Server>(io_, *this, context, std::move(options))),
      thread_([this] { io_.run(); }) {}

TestProxy::~TestProxy() {
  Do([this] {
    server_->Stop();
    for (auto& acceptor : acceptors_) acceptor->Close();
    announced_.cancel();
  });
  work_.reset();
  thread_.join();
  Check(!busy_);
}

void TestProxy::Do(const std::function<void()>& work) {
  // Shared: the waiter may be gone before set_value() has returned.
  auto done = std::make_shared<std::promise<void>>();
  asio::post(io_, [&work, done] {
    work();
    done->set_value();
  });
  done->get_future().wait();
}

void TestProxy::Serve(Listeners listeners) {
  Do([this, &listeners] {
    for (auto& udp : listeners.udp) Check(server_->ServeUdp(std::move(udp)));
    for (auto& tcp : listeners.tcp) {
      proxy::Acceptor::Events events{
          .accepted = [this](UniqueFd fd,
                             const net::Endpoint&) { server_->ServeTcp(std::move(fd)); },
          .exhausted = [](int) {}};
      acceptors_.push_back(std::make_unique<proxy::Acceptor>(io_, events));
      Check(acceptors_.back()->Open(std::move(tcp)));
      Spawn(acceptors_.back()->Run());
    }
  });
}

void TestProxy::Announce(state::WorkloadPtr client) {
  Do([this, &client] {
    client_ = std::move(client);
    announced_.cancel();
  });
}

void TestProxy::BeginDrain() {
  Do([this] {
    for (auto& acceptor : acceptors_) acceptor->CloseAfterLastSweep();
    server_->BeginDrain();
  });
}

bool TestProxy::busy() {
  bool busy = false;
  Do([&] { busy = busy_; });
  return busy;
}

void TestProxy::Spawn(asio::awaitable<void> work) {
  asio::co_spawn(io_, std::move(work), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}

asio::awaitable<state::WorkloadPtr> TestProxy::WaitForClient() {
  co_await announced_.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return client_;
}

}  // namespace ambit::dns::testing
