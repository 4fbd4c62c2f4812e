#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/proxy/testing/pod_network.h"
#include "ztunnel-lite/proxy/worker_thread.h"

namespace ambit::proxy::testing {

// Another network's gateway: ends the tunnel and passes what is in its streams on to one server,
// whatever they are for. Ends the test where production code would return an error.
class TestGateway {
 public:
  TestGateway(const PodNetwork::Pod& pod, uint16_t port, tls::CredentialPtr credential,
              net::Endpoint server);
  ~TestGateway();

  // From now on no stream is answered.
  void Swallow();
  // What the streams so far asked for.
  std::vector<hbone::ConnectRequest> Requests();
  // Tunnels that are open now.
  size_t Tunnels();

 private:
  boost::asio::awaitable<void> AcceptAll();
  boost::asio::awaitable<void> Serve(UniqueFd tcp);
  boost::asio::awaitable<void> PassOn(std::unique_ptr<hbone::ConnectCall> call);

  const UniqueFd netns_;
  const tls::CredentialPtr credential_;
  const net::Endpoint server_;
  UniqueFd listener_;
  std::mutex mutex_;
  std::vector<hbone::ConnectRequest> requests_;
  std::vector<std::unique_ptr<hbone::ConnectCall>> swallowed_;
  size_t tunnels_ = 0;
  bool swallow_ = false;
  // Last, so that it ends first: what runs on it uses the members above.
  std::unique_ptr<WorkerThread> thread_;
};

}  // namespace ambit::proxy::testing
