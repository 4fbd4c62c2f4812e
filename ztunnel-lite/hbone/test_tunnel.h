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

// To 10.0.0.1:80, with nothing optional.
ConnectRequest PlainRequest();

// One relayed connection, seen from its two apps; the sockets block for at most 20 s.
struct Link {
  UniqueFd client_app;
  UniqueFd server_app;
  std::shared_ptr<RelayControl> client_control;  // used by OnClient only
  std::future<RelayResult> client_result;
};

class TestTunnel {
 public:
  static constexpr char kClient[] = "spiffe://cluster.local/ns/default/sa/client";
  static constexpr char kServer[] = "spiffe://cluster.local/ns/default/sa/server";

  explicit TestTunnel(Settings client = {}, Settings server = {});
  ~TestTunnel();

  Result<Link> Open(RelayOptions options = {}, const std::string& authority = "10.0.0.1:80");
  // One more tunnel on the server's worker; what Run or the handshake said.
  std::future<Result<void>> Serve(UniqueFd tcp, Settings settings = {});
  // One more tunnel on the client's worker, with one stream that is relayed to `app`; what ended
  // it.
  std::future<Result<void>> Dial(UniqueFd tcp, UniqueFd app, Settings settings = {},
                                 ConnectRequest request = PlainRequest());
  // The app's side of the next connection that the server accepted; waits for it.
  UniqueFd NextServerApp();
  // The server's relays that have ended, oldest first; waits for one.
  RelayResult NextServerResult();
  ConnectRequest LastRequest();
  // Runs on the worker of that side and waits.
  void OnClient(const std::function<void(ClientTunnel&)>& work);
  void OnServer(const std::function<void(ServerTunnel&)>& work);
  // Of the newest connection; used by OnServer only.
  RelayControl& last_server_control() { return *last_server_control_; }
  std::future<Result<void>>& server_ended() { return server_ended_; }
  WorkerThread& client_thread() { return client_thread_; }
  WorkerThread& server_thread() { return server_thread_; }
  const tls::CredentialPtr& client_credential() const { return client_credential_; }
  const tls::CredentialPtr& server_credential() const { return server_credential_; }

 private:
  explicit TestTunnel(const tls::TestMeshCa& ca, Settings client, Settings server);
  boost::asio::awaitable<void> Answer(std::unique_ptr<ConnectCall> call);
  boost::asio::awaitable<Result<void>> RunServer(UniqueFd tcp, Settings settings);

  tls::CredentialPtr client_credential_;
  tls::CredentialPtr server_credential_;
  std::shared_ptr<ClientTunnel> client_;
  std::vector<std::shared_ptr<ServerTunnel>> servers_;
  bool closing_ = false;
  std::future<Result<void>> server_ended_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UniqueFd> server_apps_;
  std::deque<RelayResult> server_results_;
  ConnectRequest last_request_;
  std::shared_ptr<RelayControl> last_server_control_;
  // Last, so that they end first: what runs on them uses the members above.
  WorkerThread client_thread_;
  WorkerThread server_thread_;
};

void SetBlocking(int fd);
// Everything, or as much as came before the end or an error.
size_t SendAll(int fd, std::string_view bytes);
std::string ReceiveExactly(int fd, size_t size);
std::string ReceiveAll(int fd);
// errno of a receive, 0 where it had a byte or the end.
int ReadError(int fd);
// Bytes that repeat nowhere, the same for the same seed.
std::string Pattern(size_t size, uint32_t seed);

}  // namespace ambit::hbone
