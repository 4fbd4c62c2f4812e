#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "ztunnel-lite/dns/server.h"
#include "ztunnel-lite/proxy/acceptor.h"

namespace ambit::dns::testing {

// A DNS proxy on a worker of its own.
class TestProxy : public Host {
 public:
  TestProxy(Server::Context context, Server::Options options);
  ~TestProxy() override;

  void Serve(Listeners listeners);
  // The control plane announces the pod; null: it gave up waiting.
  void Announce(state::WorkloadPtr client);
  void BeginDrain();
  bool busy();
  // Runs on the worker, waited for.
  void Do(const std::function<void()>& work);

 private:
  void Spawn(boost::asio::awaitable<void> work) override;
  state::WorkloadPtr FindClient() override { return client_; }
  boost::asio::awaitable<state::WorkloadPtr> WaitForClient() override;
  void SetBusy(bool busy) override { busy_ = busy; }

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  boost::asio::steady_timer announced_{io_, boost::asio::steady_timer::time_point::max()};
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<proxy::Acceptor>> acceptors_;
  state::WorkloadPtr client_;
  bool busy_ = false;
  std::thread thread_;
};

}  // namespace ambit::dns::testing
