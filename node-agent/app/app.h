#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <optional>

#include "lib/base/clock.h"
#include "lib/http1/server.h"
#include "lib/k8s/source.h"
#include "lib/observe/log.h"
#include "lib/observe/readiness.h"
#include "node-agent/app/health.h"
#include "node-agent/app/options.h"
#include "node-agent/cmd/commands.h"
#include "node-agent/effects/kernel_effects.h"
#include "node-agent/effects/probe_keeper.h"
#include "node-agent/podns/state_file.h"
#include "node-agent/probes/probe_set.h"
#include "node-agent/reconcile/mesh_view.h"
#include "node-agent/reconcile/reconciler.h"
#include "node-agent/zds/server.h"

namespace ambit::agent {

// The parts of the agent, made in the order in which they need each other.
// Thread  one runs Run(); RequestStop() may come from another.
class App {
 public:
  // Opens every socket and reads the saved state. Errors  any part's, with what it was for.
  static Result<std::unique_ptr<App>> Make(Options options, observe::Log& log);
  ~App();

  // Reads the source, then serves until RequestStop(); then lets running work end, at most for the
  // shutdown timeout. Rules and pods stay as they are.
  // Errors  kNotFound and others: the source cannot be read.
  Result<void> Run();
  void RequestStop();
  // SIGTERM and SIGINT request it.
  void StopOnSignals();

 private:
  App(Options options, observe::Log& log, net::NetnsId host, podns::StateFile state);

  Result<void> Open();
  Result<void> OpenSockets();
  void Restore();
  void OnSynced();
  boost::asio::awaitable<void> InstallProbes();
  boost::asio::awaitable<void> VerifyRegularly();
  boost::asio::awaitable<void> Drain();

  Options options_;
  observe::Log& log_;
  SystemClock clock_;
  prometheus::Registry registry_;
  observe::Readiness readiness_;
  reconcile::EnrolmentMetrics enrolment_metrics_;
  prometheus::Gauge& connected_;
  podns::StateFile state_;
  net::NetnsId host_;
  // Coroutines that are still suspended at the end go with the loop, after everything they refer
  // to; they touch none of it then.
  boost::asio::io_context io_{1};
  boost::asio::thread_pool pool_{4};
  boost::asio::steady_timer verify_timer_{io_};
  boost::asio::signal_set signals_{io_};
  probes::ProbeSet probe_set_;
  effects::ProbeKeeper probes_;
  std::unique_ptr<zds::Server> tunnels_;
  std::optional<effects::KernelEffects> effects_;
  std::optional<reconcile::Reconciler> reconciler_;
  std::optional<reconcile::MeshView> view_;
  std::optional<cmd::Commands> commands_;
  std::unique_ptr<k8s::Source> source_;
  std::optional<HealthPages> pages_;
  std::unique_ptr<http1::Server> command_server_;
  std::unique_ptr<http1::Server> health_server_;
  std::unique_ptr<http1::Server> metrics_server_;
  bool stopping_ = false;
};

}  // namespace ambit::agent
