#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/connect_headers.h"
#include "ztunnel-lite/proxy/pod_proxy.h"
#include "ztunnel-lite/proxy/proxy_header.h"

namespace ambit::proxy {
namespace {

using telemetry::Reporter;

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

boost::asio::awaitable<void> PodProxy::ServeInboundHbone(ConnectionPtr connection) {
  auto local = net::LocalEndpoint(connection->socket());
  if (!local) co_return;
  auto accepted = co_await AcceptTunnel(connection, *local);
  connection->EndHandshake();
  if (!accepted || connection->cut()) {
    connection->Refuse();
    if (!connection->cut()) {
      context_.traffic.EarlyDeny(Reporter::kDestination, connection->peer(), *local,
                                 accepted.error());
    }
    co_return;
  }
  auto tunnel = std::move(*accepted);
  server_tunnels_.insert(tunnel.get());
  if (draining_) tunnel->StartDrain();
  {
    Interrupt::Scope scope(connection->interrupt(), [tunnel] { tunnel->Abort(); });
    auto ended = co_await tunnel->Run();
    if (!ended && context_.log != nullptr) {
      context_.log->Debug("inbound", "tunnel ended", {{"error", ended.error().message()}});
    }
  }
  server_tunnels_.erase(tunnel.get());
}

boost::asio::awaitable<Result<std::shared_ptr<hbone::ServerTunnel>>> PodProxy::AcceptTunnel(
    ConnectionPtr connection, net::Endpoint local) {
  auto workload = co_await WaitForLocalWorkload(connection->interrupt());
  if (!workload) co_return Fail(MissingWorkload());
  auto identity = workload->identity();
  auto credential = co_await context_.credentials.Get(identity);
  if (!credential) {
    co_return Fail(credential.error().Wrap("certificate of " + identity.Uri()));
  }
  if (connection->cut()) co_return Fail(*connection->cut());
  auto second = UniqueFd(connection->TakeSocket());
  auto tcp = second.Duplicate();
  if (!tcp) co_return Fail(tcp.error());
  connection->BeginHandshake(std::move(second));
  auto handler = [self = shared_from_this(), peer = connection->peer(), local](
                     hbone::ServerTunnel& tunnel, std::unique_ptr<hbone::ConnectCall> call) {
    return self->ServeStream(self, {peer, local, tunnel.peer_identity()}, std::move(call));
  };
  co_return co_await hbone::ServerTunnel::Establish(worker_.worker(), std::move(*tcp), *credential,
                                                    TunnelSettings(), std::move(handler));
}

boost::asio::awaitable<void> PodProxy::ServeStream(std::shared_ptr<PodProxy> self,
                                                   StreamOrigin origin,
                                                   std::unique_ptr<hbone::ConnectCall> call) {
  auto connection = Track(UniqueFd(), origin.peer);
  auto leg = co_await OpenInbound(connection, std::move(origin), std::move(call));
  if (!leg) co_return;
  auto* record = leg->record.get();
  auto options = RelayOptionsFor(
      [record](uint64_t from_app, uint64_t to_app) { record->AddBytes(to_app, from_app); });
  auto& control = connection->BeginRelay();
  auto result = co_await hbone::RelayStream(worker_.worker(), std::move(leg->stream),
                                            std::move(leg->app), std::move(options), control);
  connection->EndRelay();
  FinishRelay(*record, *connection, result.outcome);
}

Result<InboundRoute> PodProxy::RouteCall(const hbone::ConnectCall& call, const StreamOrigin& origin,
                                         const state::WorkloadPtr& local) const {
  if (call.method() != "CONNECT") {
    return Fail(ErrorCode::kInvalidArgument, "method " + call.method() + " is not CONNECT");
  }
  if (!local) return Fail(MissingWorkload());
  return RouteInbound(context_.mesh,
                      {.local = local,
                       .network = context_.config.network,
                       .authority = call.request().authority,
                       .connection_destination = origin.local,
                       .forwarded_host = ForwardedHost(call.request().forwarded.value_or(""))});
}

// Nothing: the call has been rejected and the failure reported.
boost::asio::awaitable<std::optional<PodProxy::InboundLeg>> PodProxy::OpenInbound(
    ConnectionPtr connection, StreamOrigin origin, std::unique_ptr<hbone::ConnectCall> call) {
  auto local = FindLocalWorkload();
  auto route = RouteCall(*call, origin, local);
  if (!route) {
    context_.traffic.EarlyDeny(Reporter::kDestination, origin.peer, origin.local, route.error());
    call->Reject(StatusForRoute(route.error().code()));
    co_return std::nullopt;
  }
  InboundLeg leg;
  leg.record = context_.traffic.Open(DescribeInbound(origin, call->request(), *route, local));
  auto identity = state::Identity::Parse(origin.peer_identity);
  RbacConnection rbac{.source = origin.peer,
                      .source_identity = identity ? std::optional(*identity) : std::nullopt,
                      .destination = route->app};
  if (identity && context_.peer_rules != nullptr) {
    rbac.trust_domain_aliases = context_.peer_rules->AliasesOf(identity->trust_domain);
  }
  auto app =
      co_await ConnectInbound(*connection, *local, std::move(rbac), TargetOf(*route, origin));
  if (app && route->proxy_header) {
    auto written = Introduce(app->get(), *route, origin);
    if (!written) app = FailAt(Stage::kConnectPlain, written.error());
  }
  if (!app) {
    call->Reject(StatusFor(app.error()));
    Finish(*leg.record, *connection, &app.error());
    co_return std::nullopt;
  }
  leg.app = std::move(*app);
  leg.stream = call->Accept(context_.config.response_baggage ? BaggageOf(*local) : std::string());
  co_return leg;
}

// An app that is told the client's address in a header may listen on loopback only.
Dialer::Target PodProxy::TargetOf(const InboundRoute& route, const StreamOrigin& origin) const {
  if (route.proxy_header && context_.config.localhost_app_tunnel) {
    return {{net::IpAddress::Loopback(route.app.address.family()), route.app.port}, std::nullopt};
  }
  Dialer::Target target{route.app, std::nullopt};
  if (listeners_.preserve_source_hbone) target.source = origin.peer.address;
  return target;
}

Result<void> PodProxy::Introduce(int app, const InboundRoute& route, const StreamOrigin& origin) {
  const auto& called = *route.proxy_header;
  auto header =
      ProxyHeader(origin.peer, called.endpoint, origin.peer_identity, called.service_hostname);
  // Nothing was sent before, so that the socket's buffer has room for all of it.
  ssize_t sent = send(app, header.data(), header.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return FailErrno(errno, "send the PROXY protocol header to the app");
  if (static_cast<size_t>(sent) == header.size()) return {};
  return Fail(ErrorCode::kResourceExhausted,
              "the app's socket did not take the whole PROXY protocol header");
}

boost::asio::awaitable<Outcome<UniqueFd>> PodProxy::ConnectInbound(Connection& connection,
                                                                   const state::Workload& local,
                                                                   RbacConnection rbac,
                                                                   Dialer::Target target) {
  // Before the first evaluation: a policy that comes in between must find the connection.
  connection.rbac = std::move(rbac);
  if (auto allowed = Authorize(local, *connection.rbac); !allowed) {
    co_return FailAt(Stage::kPolicy, allowed.error());
  }
  auto app = co_await dialer_.Connect(target, connection.interrupt());
  if (const auto& cut = connection.cut()) {
    bool policy = cut->code() == ErrorCode::kPermissionDenied;
    co_return std::unexpected(
        Failure{*cut, policy ? telemetry::Flag::kDeny : telemetry::Flag::kNone});
  }
  if (!app) co_return FailAt(Stage::kConnectPlain, app.error());
  co_return std::move(*app);
}

telemetry::ConnectionInfo PodProxy::DescribeInbound(const StreamOrigin& origin,
                                                    const hbone::ConnectRequest& request,
                                                    const InboundRoute& route,
                                                    const state::WorkloadPtr& local) const {
  const auto& network = context_.config.network;
  telemetry::ConnectionInfo info;
  info.reporter = Reporter::kDestination;
  info.source = origin.peer;
  info.destination = origin.local;
  info.hbone_authority = request.authority;
  info.called = ForwardedHost(request.forwarded.value_or(""));
  // From another network the address is a gateway's and says nothing of the client.
  bool from_gateway =
      request.x_forwarded_network && !EqualIgnoringCase(*request.x_forwarded_network, network);
  if (!from_gateway) {
    info.source_workload = context_.mesh.FindWorkloadByAddress({network, origin.peer.address});
  }
  if (!info.source_workload && context_.config.response_baggage) {
    info.source_workload = WorkloadOfBaggage(request.baggage, origin.peer_identity);
  }
  info.destination_workload = local;
  info.destination_service = route.service;
  info.source_identity = origin.peer_identity;
  info.destination_identity = local->identity().Uri();
  info.mutual_tls = true;
  return info;
}

}  // namespace ambit::proxy
