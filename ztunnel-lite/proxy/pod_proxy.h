#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "lib/net/netns.h"
#include "ztunnel-lite/dns/server.h"
#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/proxy/acceptor.h"
#include "ztunnel-lite/proxy/connection.h"
#include "ztunnel-lite/proxy/dial.h"
#include "ztunnel-lite/proxy/failure.h"
#include "ztunnel-lite/proxy/listeners.h"
#include "ztunnel-lite/proxy/pod_proxies.h"
#include "ztunnel-lite/proxy/pool.h"
#include "ztunnel-lite/proxy/worker_thread.h"

// Purpose  one pod on one worker: its acceptors, its pool and its connections.
// Threads  made anywhere; every call on its worker, where it is also destroyed.
// Life     every coroutine it starts keeps it alive; Stop() and BeginDrain() make them end.
namespace ambit::proxy {

// What all workers know of a pod.
struct Pod {
  PodInfo info;
  UniqueFd netns;
  net::NetnsId netns_id;
  PodProxies::Context context;
};

class PodProxy : public std::enable_shared_from_this<PodProxy>,
                 private TunnelDialer,
                 private dns::Host {
 public:
  PodProxy(WorkerThread& worker, std::shared_ptr<const Pod> pod, Listeners listeners);
  ~PodProxy() override;

  void Serve();
  // No new connections, GOAWAY to peers; `empty` runs when the last connection has ended.
  void BeginDrain(std::function<void()> empty);
  // Everything ends now.
  void Stop();
  void RecheckPolicies();

 private:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using Serving = Awaitable<void> (PodProxy::*)(ConnectionPtr);

  // A stream with its place on a tunnel.
  struct TunnelStream {
    Pool::Lease lease;
    hbone::StreamPtr stream;
  };
  // The tunnel inside a stream of the one to another network's gateway; ends with its connection.
  struct InnerTunnel {
    std::shared_ptr<hbone::ClientTunnel> tunnel;
    std::string baggage;  // what the server says of itself
  };
  // What an outbound connection has on its far side: a stream or a socket.
  struct OutboundLeg {
    std::unique_ptr<telemetry::ConnectionRecord> record;
    std::optional<Pool::Lease> lease;
    std::optional<InnerTunnel> inner;
    hbone::StreamPtr stream;  // null for plaintext
    UniqueFd upstream;
  };
  struct InboundLeg {
    std::unique_ptr<telemetry::ConnectionRecord> record;
    hbone::StreamPtr stream;  // null for plaintext
    UniqueFd app;
  };
  // The tunnel that a CONNECT came in on.
  struct StreamOrigin {
    net::Endpoint peer;
    net::Endpoint local;  // the pod's address, port 15008
    std::string peer_identity;
  };

  // pod_proxy.cc
  Acceptor::Events AcceptInto(telemetry::Reporter reporter, Serving serving);
  void Complain(std::string_view what, const Error& error) const;
  void Spawn(Awaitable<void> work) override;
  ConnectionPtr Track(UniqueFd accepted, const net::Endpoint& peer);
  state::WorkloadPtr FindLocalWorkload() const;
  // Null when the control plane has not announced the pod within config.workload_wait.
  Awaitable<state::WorkloadPtr> WaitForLocalWorkload(Interrupt& interrupt);
  Error MissingWorkload() const;
  hbone::Settings TunnelSettings() const;
  hbone::RelayOptions RelayOptionsFor(
      std::function<void(uint64_t from_app, uint64_t to_app)> on_bytes) const;
  static void Finish(telemetry::ConnectionRecord& record, const Connection& connection,
                     const Failure* failure);
  static void FinishRelay(telemetry::ConnectionRecord& record, const Connection& connection,
                          const Result<void>& outcome);
  // Evaluates the policies that hold for `local` now; what they say is logged.
  void LogVerdict(const RbacVerdict& verdict, const RbacConnection& connection) const;
  Result<void> Authorize(const state::Workload& local, const RbacConnection& connection) const;

  // outbound.cc
  Awaitable<void> ServeOutbound(ConnectionPtr connection);
  Awaitable<std::optional<OutboundLeg>> OpenOutbound(ConnectionPtr connection);
  Awaitable<Result<OutboundRoute>> FindRoute(const OutboundRequest& request, Interrupt& interrupt);
  // An error where the service has no other endpoint.
  Awaitable<Result<OutboundRoute>> RouteElsewhere(OutboundRequest& request,
                                                  const OutboundRoute& failed,
                                                  Interrupt& interrupt);
  // The record and what it reports on; nothing: connected.
  Awaitable<std::optional<Failure>> OpenLeg(Connection& connection, OutboundLeg& leg,
                                            const OutboundRequest& request,
                                            const OutboundRoute& route);
  static Awaitable<void> CloseInner(OutboundLeg leg);
  telemetry::ConnectionInfo DescribeOutbound(const Connection& connection,
                                             const OutboundRequest& request,
                                             const OutboundRoute& route) const;

  // outbound_resolve.cc
  Awaitable<Result<names::Addresses>> Resolve(std::string hostname, Interrupt& interrupt);

  // outbound_connect.cc
  Awaitable<std::optional<Failure>> ConnectOutbound(Connection& connection, OutboundLeg& leg,
                                                    const OutboundRoute& route,
                                                    const state::Workload& source);
  // Goes on from the outer stream in `leg`, and puts the inner one in its place.
  Awaitable<std::optional<Failure>> OpenInnerTunnel(OutboundLeg& leg, const OutboundRoute& route,
                                                    const state::Workload& source,
                                                    hbone::ConnectRequest request);
  Awaitable<Outcome<TunnelStream>> OpenTunnelStream(Connection& connection, PoolKey key,
                                                    hbone::ConnectRequest request);
  Awaitable<Outcome<std::shared_ptr<hbone::ClientTunnel>>> DialTunnel(
      PoolKey key, Interrupt& interrupt) override;

  // inbound_hbone.cc
  Awaitable<void> ServeInboundHbone(ConnectionPtr connection);
  Awaitable<Result<std::shared_ptr<hbone::ServerTunnel>>> AcceptTunnel(ConnectionPtr connection,
                                                                       net::Endpoint local);
  Awaitable<void> ServeStream(std::shared_ptr<PodProxy> self, StreamOrigin origin,
                              std::unique_ptr<hbone::ConnectCall> call);
  Awaitable<std::optional<InboundLeg>> OpenInbound(ConnectionPtr connection, StreamOrigin origin,
                                                   std::unique_ptr<hbone::ConnectCall> call);
  Result<InboundRoute> RouteCall(const hbone::ConnectCall& call, const StreamOrigin& origin,
                                 const state::WorkloadPtr& local) const;
  // Policies, then the app: what both ways in share once the destination is known.
  Awaitable<Outcome<UniqueFd>> ConnectInbound(Connection& connection, const state::Workload& local,
                                              RbacConnection rbac, Dialer::Target target);
  Dialer::Target TargetOf(const InboundRoute& route, const StreamOrigin& origin) const;
  // Writes the PROXY protocol header to the app.
  static Result<void> Introduce(int app, const InboundRoute& route, const StreamOrigin& origin);
  telemetry::ConnectionInfo DescribeInbound(const StreamOrigin& origin,
                                            const hbone::ConnectRequest& request,
                                            const InboundRoute& route,
                                            const state::WorkloadPtr& local) const;

  // inbound_plain.cc
  Awaitable<void> ServeInboundPlain(ConnectionPtr connection);
  Awaitable<std::optional<InboundLeg>> OpenInboundPlain(ConnectionPtr connection);
  telemetry::ConnectionInfo DescribePlain(const Connection& connection,
                                          const net::Endpoint& destination,
                                          const state::WorkloadPtr& local) const;

  // pod_dns.cc
  dns::Server::Options DnsOptions() const;
  void ServeDns();
  state::WorkloadPtr FindClient() override { return FindLocalWorkload(); }
  Awaitable<state::WorkloadPtr> WaitForClient() override;
  void SetBusy(bool busy) override;

  WorkerThread& worker_;
  std::shared_ptr<const Pod> pod_;
  const PodProxies::Context& context_;
  Listeners listeners_;
  Dialer dialer_;
  Pool pool_;
  Acceptor outbound_;
  Acceptor inbound_plain_;
  Acceptor inbound_hbone_;
  Gate gate_;
  std::optional<Gate::Hold> dns_busy_;
  Interrupt dns_interrupt_;
  std::vector<std::unique_ptr<Acceptor>> dns_acceptors_;
  dns::Server dns_;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> connections_;
  std::set<hbone::ServerTunnel*> server_tunnels_;
  bool draining_ = false;
  bool stopped_ = false;
};

}  // namespace ambit::proxy
