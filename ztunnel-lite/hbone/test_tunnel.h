#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/tls/test_credentials.h"

// Purpose  both ends of a tunnel over loopback, each on a worker thread of its own, for tests and
//          measurements. Ends the process where production code would return an error.
namespace ambit::hbone {

struct TcpPair {
  UniqueFd near;
  UniqueFd far;
};
// Two connected non-blocking TCP sockets on loopback.
TcpPair MakeTcpPair();

class WorkerThread {
 public:
  WorkerThread();
  ~WorkerThread();
  Worker& worker() { return *worker_; }
  // CPU time this thread has used.
  std::chrono::nanoseconds CpuTime();

 private:
  std::unique_ptr<Worker> worker_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::thread thread_;
};

// One relayed connection, seen from its two apps; the sockets block for at most 20 s.
struct Link {
  UniqueFd client_app;
  UniqueFd server_app;
  std::future<RelayResult> client_result;
};

class TestTunnel {
 public:
  static constexpr char kClient[] = "spiffe://cluster.local/ns/default/sa/client";
  static constexpr char kServer[] = "spiffe://cluster.local/ns/default/sa/server";

  explicit TestTunnel(Settings client = {}, Settings server = {});
  ~TestTunnel();

  Result<Link> Open(RelayOptions options = {}, const std::string& authority = "10.0.0.1:80");
  // The server's relays that have ended, oldest first; waits for one.
  RelayResult NextServerResult();
  ConnectRequest LastRequest();
  // Runs on the worker of that side and waits.
  void OnClient(const std::function<void(ClientTunnel&)>& work);
  void OnServer(const std::function<void(ServerTunnel&)>& work);
  std::future<Result<void>>& server_ended() { return server_ended_; }
  WorkerThread& client_thread() { return client_thread_; }
  WorkerThread& server_thread() { return server_thread_; }

 private:
  boost::asio::awaitable<void> Serve(std::unique_ptr<ConnectCall> call);
  boost::asio::awaitable<Result<void>> RunServer(UniqueFd tcp, tls::CredentialPtr credential,
                                                 Settings settings);

  WorkerThread client_thread_;
  WorkerThread server_thread_;
  std::shared_ptr<ClientTunnel> client_;
  std::shared_ptr<ServerTunnel> server_;
  std::future<Result<void>> server_ended_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UniqueFd> server_apps_;
  std::deque<RelayResult> server_results_;
  ConnectRequest last_request_;
};

void SetBlocking(int fd);
// Everything, or as much as came before the end or an error.
size_t SendAll(int fd, std::string_view bytes);
std::string ReceiveExactly(int fd, size_t size);
std::string ReceiveAll(int fd);

}  // namespace ambit::hbone
