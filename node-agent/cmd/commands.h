#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "lib/base/error.h"
#include "lib/http1/message.h"
#include "lib/observe/log.h"
#include "node-agent/cmd/request.h"
#include "node-agent/reconcile/effects.h"
#include "node-agent/reconcile/mesh_view.h"
#include "node-agent/reconcile/reconciler.h"

// Purpose  what a CNI plugin may ask of the agent: ours with netlink programs to run by itself,
//          Istio's with the agent entering the namespace.
// Threads  the io_context's; requests of different pods wait beside each other.
// Errors   become HTTP statuses in answer.h.
// Metrics  istio_cni_plugin_requests_total{response_code} for /cmdadd;
//          ambit_agent_plugin_requests_total{command,response_code} for all.
// Source   docs/command-protocol.md.
namespace ambit::cmd {

struct Options {
  // For a pod that the runtime knows before the source does.
  std::chrono::milliseconds pod_wait{2000};
  // For the whole of one request, below the 5 s that Istio's plugin waits.
  std::chrono::milliseconds budget{4500};
  net::NetnsId host;
  // False because kubelet starts no pod, not even the tunnel's, while STATUS fails.
  bool status_needs_tunnel = false;
};

class Commands {
 public:
  Commands(reconcile::MeshView& view, reconcile::Reconciler& reconciler,
           reconcile::Effects& effects, observe::Log& log, prometheus::Registry& registry,
           Options options);

  // Outlives every request that it is given.
  boost::asio::awaitable<http1::Response> Handle(http1::Request request);
  // Requests that are not answered yet.
  int running() const { return running_; }

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  boost::asio::awaitable<http1::Response> Route(http1::Request request);
  boost::asio::awaitable<http1::Response> Add(http1::Request request);
  boost::asio::awaitable<http1::Response> AddForIstio(PodRequest request, Deadline deadline);
  boost::asio::awaitable<http1::Response> Offer(PodRequest request, Deadline deadline);
  boost::asio::awaitable<http1::Response> Commit(http1::Request request);
  boost::asio::awaitable<http1::Response> Check(http1::Request request);
  http1::Response Abort(const http1::Request& request);
  http1::Response Delete(const http1::Request& request);
  http1::Response CollectGarbage(const http1::Request& request);
  http1::Response Status() const;

  http1::Response OfferProgram(const PodRequest& request, const reconcile::MeshView::Seen& seen);
  void KeepSandbox(const PodRequest& request, const std::string& uid);
  Result<podns::Sandbox> SandboxOf(const PodRequest& request) const;
  // Waits for the pod to be known and decided.
  boost::asio::awaitable<Result<reconcile::MeshView::Seen>> FindPod(PodRequest request,
                                                                    Deadline deadline);
  Result<reconcile::MeshView::Seen> LookUp(const PodRequest& request) const;

  reconcile::MeshView& view_;
  reconcile::Reconciler& reconciler_;
  reconcile::Effects& effects_;
  observe::Log& log_;
  Options options_;
  prometheus::Family<prometheus::Counter>& istio_requests_;
  prometheus::Family<prometheus::Counter>& requests_;
  int running_ = 0;
};

}  // namespace ambit::cmd
