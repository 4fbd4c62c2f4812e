#include <algorithm>
#include <utility>

#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/connect_headers.h"
#include "ztunnel-lite/proxy/pod_proxy.h"

namespace ambit::proxy {
namespace {

// Endpoints of a service that a connection is offered before it fails.
constexpr int kEndpointTries = 3;

}  // namespace

using telemetry::Reporter;

// In two steps, so that an idle connection holds nothing of the first one.
boost::asio::awaitable<void> PodProxy::ServeOutbound(ConnectionPtr connection) {
  auto leg = co_await OpenOutbound(connection);
  if (!leg || connection->cut()) {
    connection->Refuse();
    if (leg) Finish(*leg->record, *connection, nullptr);
    co_return;
  }
  auto* record = leg->record.get();
  auto options = RelayOptionsFor(
      [record](uint64_t from_app, uint64_t to_app) { record->AddBytes(from_app, to_app); });
  auto& control = connection->BeginRelay();
  hbone::RelayResult result;
  if (leg->tunnel) {
    result = co_await hbone::RelayStream(worker_.worker(), std::move(leg->tunnel->stream),
                                         connection->TakeSocket(), std::move(options), control);
  } else {
    result = co_await hbone::RelayPlain(worker_.worker(), connection->TakeSocket(),
                                        std::move(leg->upstream), std::move(options), control);
  }
  connection->EndRelay();
  FinishRelay(*record, *connection, result.outcome);
}

// Nothing: the failure has been reported.
boost::asio::awaitable<std::optional<PodProxy::OutboundLeg>> PodProxy::OpenOutbound(
    ConnectionPtr connection) {
  auto deny = [&](const net::Endpoint& destination, const Error& error) {
    context_.traffic.EarlyDeny(Reporter::kSource, connection->peer(), destination, error);
  };
  auto destination = net::OriginalDestination(connection->socket());
  if (!destination) {
    deny({}, destination.error());
    co_return std::nullopt;
  }
  if (destination->address.IsLoopback() && IsTunnelPort(destination->port)) {
    deny(*destination, Error(ErrorCode::kInvalidArgument,
                             destination->ToString() + " is a port of the tunnel itself"));
    co_return std::nullopt;
  }
  auto source = co_await WaitForLocalWorkload(connection->interrupt());
  if (connection->cut()) co_return std::nullopt;
  if (!source) {
    deny(*destination, MissingWorkload());
    co_return std::nullopt;
  }
  OutboundRequest request{.source = source,
                          .network = context_.config.network,
                          .client = connection->peer(),
                          .destination = *destination,
                          .unreachable = {}};
  auto route = RouteOutbound(context_.mesh, request, worker_.random());
  if (!route) deny(*destination, route.error());
  for (int tries = 1; route; ++tries) {
    OutboundLeg leg;
    leg.record = context_.traffic.Open(DescribeOutbound(*connection, request, *route));
    auto failure = co_await ConnectOutbound(*connection, leg, *route, *source);
    if (!failure) co_return leg;
    Finish(*leg.record, *connection, &*failure);
    if (!failure->unreached || tries == kEndpointTries || connection->cut()) break;
    route = RouteElsewhere(request, *route);
  }
  co_return std::nullopt;
}

// An error where the service has no other endpoint.
Result<OutboundRoute> PodProxy::RouteElsewhere(OutboundRequest& request,
                                               const OutboundRoute& failed) {
  if (!failed.destination) return Fail(ErrorCode::kUnavailable, "nothing is known of the peer");
  request.unreachable.push_back(failed.destination->uid);
  auto route = RouteOutbound(context_.mesh, request, worker_.random());
  if (!route) return route;
  bool other =
      route->destination &&
      std::ranges::find(request.unreachable, route->destination->uid) == request.unreachable.end();
  if (!other) return Fail(ErrorCode::kUnavailable, "there is no other endpoint");
  return route;
}

boost::asio::awaitable<std::optional<Failure>> PodProxy::ConnectOutbound(
    Connection& connection, OutboundLeg& leg, const OutboundRoute& route,
    const state::Workload& source) {
  if (route.carrier == Carrier::kTcp) {
    auto upstream =
        co_await dialer_.Connect({route.next_hop, std::nullopt}, connection.interrupt());
    if (!upstream) co_return FailAt(Stage::kConnectPlain, upstream.error()).error();
    leg.upstream = std::move(*upstream);
    co_return std::nullopt;
  }
  PoolKey key{source.identity(), route.expected_sans, route.next_hop};
  hbone::ConnectRequest request{
      .authority = route.authority,
      .baggage = BaggageOf(source),
      .forwarded = ForwardedHeader(connection.peer(),
                                   route.service ? route.service->hostname : std::string()),
      .traceparent = MakeTraceparent(worker_.random()),
      .x_forwarded_network = std::nullopt};
  auto stream = co_await OpenTunnelStream(connection, std::move(key), std::move(request));
  if (!stream) co_return stream.error();
  leg.tunnel = std::move(*stream);
  co_return std::nullopt;
}

boost::asio::awaitable<Outcome<PodProxy::TunnelStream>> PodProxy::OpenTunnelStream(
    Connection& connection, PoolKey key, hbone::ConnectRequest request) {
  for (bool again = false;; again = true) {
    auto lease = co_await pool_.Acquire(key, connection.interrupt());
    if (!lease) co_return std::unexpected(lease.error());
    auto opened = co_await lease->tunnel().OpenStream(request, context_.config.response_timeout);
    if (opened) {
      lease->MarkProven();
      co_return TunnelStream{std::move(*lease), std::move(opened->stream)};
    }
    // A tunnel that worked and ended at this moment (GOAWAY, idle, restart of the peer) says
    // nothing of the peer, nor does one that was taken by a server on its way out; and no byte of
    // the app has been sent.
    bool orderly = opened.error().code() == ErrorCode::kUnavailable;
    bool stale = (lease->proven() || orderly) && !lease->tunnel().usable();
    if (!stale || again || connection.cut()) co_return FailAt(Stage::kAnswer, opened.error());
  }
}

boost::asio::awaitable<Outcome<std::shared_ptr<hbone::ClientTunnel>>> PodProxy::DialTunnel(
    PoolKey key, Interrupt& interrupt) {
  auto credential = co_await context_.credentials.Get(key.source);
  if (!credential) {
    co_return FailAt(Stage::kCredential,
                     credential.error().Wrap("certificate of " + key.source.Uri()));
  }
  auto tcp = co_await dialer_.Connect({key.next_hop, std::nullopt}, interrupt);
  if (!tcp) co_return FailAt(Stage::kConnectTunnel, tcp.error());
  auto tunnel =
      co_await hbone::ClientTunnel::Establish(worker_.worker(), std::move(*tcp), *credential,
                                              std::move(key.expected_sans), TunnelSettings());
  if (!tunnel) {
    co_return FailAt(Stage::kHandshake,
                     tunnel.error().Wrap("tunnel to " + key.next_hop.ToString()));
  }
  co_return std::move(*tunnel);
}

telemetry::ConnectionInfo PodProxy::DescribeOutbound(const Connection& connection,
                                                     const OutboundRequest& request,
                                                     const OutboundRoute& route) const {
  bool hbone = route.carrier == Carrier::kHbone;
  telemetry::ConnectionInfo info;
  info.reporter = Reporter::kSource;
  info.source = connection.peer();
  info.destination = route.next_hop;
  if (hbone) info.hbone_authority = route.authority;
  info.called = request.destination.ToString();
  info.source_workload = request.source;
  info.destination_workload = route.destination;
  info.destination_service = route.service;
  if (hbone) info.source_identity = request.source->identity().Uri();
  if (route.destination) info.destination_identity = route.destination->identity().Uri();
  info.mutual_tls = hbone;
  return info;
}

}  // namespace ambit::proxy
