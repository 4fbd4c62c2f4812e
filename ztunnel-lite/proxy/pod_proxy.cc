#include "ztunnel-lite/proxy/pod_proxy.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <cassert>
#include <exception>
#include <vector>

namespace ambit::proxy {
namespace {

Pool::Options PoolOptions(const config::Config& config) {
  return {.max_streams = static_cast<uint32_t>(std::max(config.pool_max_streams, 1)),
          .unused_release = config.pool_unused_release,
          .wait_timeout = config.connect_timeout + config.handshake_timeout};
}

}  // namespace

PodProxy::PodProxy(WorkerThread& worker, std::shared_ptr<const Pod> pod, Listeners listeners)
    : worker_(worker),
      pod_(std::move(pod)),
      context_(pod_->context),
      listeners_(std::move(listeners)),
      dialer_(worker.io(), worker.random(), context_.config, worker.own_netns(), pod_->netns.get()),
      pool_(worker.io(), *this, PoolOptions(context_.config),
            [this](Awaitable<void> work) { Spawn(std::move(work)); }),
      outbound_(worker.io(), AcceptInto(telemetry::Reporter::kSource, &PodProxy::ServeOutbound)),
      inbound_plain_(worker.io(),
                     AcceptInto(telemetry::Reporter::kDestination, &PodProxy::ServeInboundPlain)),
      inbound_hbone_(worker.io(),
                     AcceptInto(telemetry::Reporter::kDestination, &PodProxy::ServeInboundHbone)),
      dns_(worker.io(), *this, {context_.mesh, context_.dns_meter, context_.log}, DnsOptions()) {}

PodProxy::~PodProxy() { assert(gate_.running() == 0); }

Acceptor::Events PodProxy::AcceptInto(telemetry::Reporter reporter, Serving serving) {
  Acceptor::Events events;
  events.accepted = [this, reporter, serving](UniqueFd fd, const net::Endpoint& peer) {
    auto connection = Track(std::move(fd), peer);
    connection->socket_count.emplace(context_.traffic, reporter);
    Spawn((this->*serving)(std::move(connection)));
  };
  events.exhausted = [this](int sys_errno) {
    Complain("connections wait until descriptors are free", ErrnoError(sys_errno, "accept"));
  };
  return events;
}

void PodProxy::Complain(std::string_view what, const Error& error) const {
  if (context_.log == nullptr) return;
  context_.log->Warn(
      "proxy", what,
      {{"pod", pod_->info.name}, {"namespace", pod_->info.ns}, {"error", error.message()}});
}

void PodProxy::Spawn(Awaitable<void> work) {
  boost::asio::co_spawn(worker_.io(), std::move(work),
                        [self = shared_from_this()](std::exception_ptr error) {
                          if (error) std::rethrow_exception(error);
                        });
}

ConnectionPtr PodProxy::Track(UniqueFd accepted, const net::Endpoint& peer) {
  auto connection = std::make_shared<Connection>(gate_, std::move(accepted), peer);
  connections_.push_back(*connection);
  return connection;
}

void PodProxy::Serve() {
  if (stopped_ || draining_) return;
  std::pair<Acceptor*, UniqueFd*> pairs[] = {{&inbound_hbone_, &listeners_.inbound_hbone},
                                             {&inbound_plain_, &listeners_.inbound_plain},
                                             {&outbound_, &listeners_.outbound}};
  for (auto [acceptor, fd] : pairs) {
    if (!fd->valid()) continue;
    if (auto opened = acceptor->Open(std::move(*fd)); opened) {
      Spawn(acceptor->Run());
    } else {
      Complain("cannot serve a listener", opened.error());
    }
  }
  ServeDns();
}

void PodProxy::BeginDrain(std::function<void()> empty) {
  draining_ = true;
  for (Acceptor* acceptor : {&outbound_, &inbound_plain_, &inbound_hbone_}) {
    acceptor->CloseAfterLastSweep();
  }
  for (const auto& acceptor : dns_acceptors_) acceptor->CloseAfterLastSweep();
  dns_.BeginDrain();
  for (auto* tunnel : std::vector(server_tunnels_.begin(), server_tunnels_.end())) {
    tunnel->StartDrain();
  }
  gate_.WhenEmpty(std::move(empty));
}

void PodProxy::Stop() {
  if (std::exchange(stopped_, true)) return;
  listeners_ = Listeners{};
  for (Acceptor* acceptor : {&outbound_, &inbound_plain_, &inbound_hbone_}) acceptor->Close();
  for (const auto& acceptor : dns_acceptors_) acceptor->Close();
  dns_interrupt_.Fire();
  dns_.Stop();
  const Error reason(ErrorCode::kCancelled, "the pod is gone or the tunnel is stopping");
  std::vector<ConnectionPtr> all;
  for (Connection& connection : connections_) all.push_back(connection.shared_from_this());
  for (const auto& connection : all) connection->Cut(reason);
  pool_.Close();
}

void PodProxy::RecheckPolicies() {
  auto local = FindLocalWorkload();
  if (!local || stopped_) return;
  auto policies = context_.mesh.PoliciesFor(*local);
  std::vector<std::pair<ConnectionPtr, std::string>> denied;
  for (Connection& connection : connections_) {
    if (!connection.rbac) continue;
    auto verdict = proxy::Authorize(policies, *connection.rbac);
    if (!verdict.allowed) denied.emplace_back(connection.shared_from_this(), verdict.reason);
  }
  for (const auto& [connection, reason] : denied) {
    connection->Cut(Error(ErrorCode::kPermissionDenied, "closed due to policy change: " + reason));
  }
}

state::WorkloadPtr PodProxy::FindLocalWorkload() const {
  const PodInfo& info = pod_->info;
  return context_.mesh.FindLocalWorkload(info.ns, info.name, info.service_account,
                                         context_.config.node_name);
}

boost::asio::awaitable<state::WorkloadPtr> PodProxy::WaitForLocalWorkload(Interrupt& interrupt) {
  if (auto found = FindLocalWorkload()) co_return found;
  const auto deadline = std::chrono::steady_clock::now() + context_.config.workload_wait;
  ChangeSignal::Watch watch(*worker_.mesh_changed());
  while (true) {
    if (auto found = FindLocalWorkload()) co_return found;
    if (interrupt.fired() || std::chrono::steady_clock::now() >= deadline) co_return nullptr;
    co_await watch.Wait(deadline, interrupt);
  }
}

Error PodProxy::MissingWorkload() const {
  const PodInfo& info = pod_->info;
  return Error(ErrorCode::kUnavailable, "the control plane has not announced the pod " + info.ns +
                                            "/" + info.name + " with service account " +
                                            info.service_account + " on this node");
}

hbone::Settings PodProxy::TunnelSettings() const {
  const auto& config = context_.config;
  hbone::Settings settings;
  settings.stream_window_bytes = config.stream_window_bytes;
  settings.connection_window_bytes = config.connection_window_bytes;
  settings.frame_size_bytes = config.frame_size_bytes;
  settings.handshake_timeout = config.handshake_timeout;
  settings.ping_interval = config.ping_interval;
  settings.ping_timeout = config.ping_timeout;
  settings.peer_rules = context_.peer_rules;
  return settings;
}

hbone::RelayOptions PodProxy::RelayOptionsFor(
    std::function<void(uint64_t, uint64_t)> on_bytes) const {
  return {.on_bytes = std::move(on_bytes),
          .half_close_timeout = context_.config.half_close_timeout};
}

void PodProxy::Finish(telemetry::ConnectionRecord& record, const Connection& connection,
                      const Failure* failure) {
  if (const auto& cut = connection.cut()) {
    // Without an end of its own the record counts as cut by a drain.
    if (cut->code() == ErrorCode::kPermissionDenied) {
      record.FinishError(telemetry::Flag::kDeny, *cut);
    }
    return;
  }
  if (failure == nullptr) {
    record.FinishOk();
  } else {
    record.FinishError(failure->flag, failure->error);
  }
}

void PodProxy::FinishRelay(telemetry::ConnectionRecord& record, const Connection& connection,
                           const Result<void>& outcome) {
  if (outcome) return Finish(record, connection, nullptr);
  Failure failure{outcome.error(), FlagForRelay(outcome.error())};
  Finish(record, connection, &failure);
}

void PodProxy::LogVerdict(const RbacVerdict& verdict, const RbacConnection& connection) const {
  constexpr std::string_view kScope = "rbac";
  const auto level = context_.config.log_policies ? observe::Level::kInfo : observe::Level::kDebug;
  if (context_.log == nullptr || !context_.log->Enabled(level, kScope)) return;
  const std::string source = connection.source.ToString();
  const std::string destination = connection.destination.ToString();
  const observe::Field fields[] = {{"src.addr", observe::Bare{source}},
                                   {"dst.addr", observe::Bare{destination}}};
  for (const auto& line : verdict.dry_run) context_.log->Write(level, kScope, line, fields);
  if (!verdict.allowed) context_.log->Write(level, kScope, verdict.reason, fields);
}

Result<void> PodProxy::Authorize(const state::Workload& local,
                                 const RbacConnection& connection) const {
  auto verdict = proxy::Authorize(context_.mesh.PoliciesFor(local), connection);
  LogVerdict(verdict, connection);
  if (verdict.allowed) return {};
  return Fail(ErrorCode::kPermissionDenied, verdict.reason);
}

}  // namespace ambit::proxy
