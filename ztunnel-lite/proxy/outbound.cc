#include <algorithm>
#include <utility>

#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/connect_headers.h"
#include "ztunnel-lite/proxy/pod_proxy.h"

namespace ambit::proxy {
namespace {

// Endpoints of a service that a connection is offered before it fails.
constexpr int kEndpointTries = 3;
// How long a gateway may take to end a stream after us.
constexpr std::chrono::milliseconds kInnerCloseTime{5000};

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
  if (leg->stream) {
    result = co_await hbone::RelayStream(worker_.worker(), std::move(leg->stream),
                                         connection->TakeSocket(), std::move(options), control);
  } else {
    result = co_await hbone::RelayPlain(worker_.worker(), connection->TakeSocket(),
                                        std::move(leg->upstream), std::move(options), control);
  }
  connection->EndRelay();
  FinishRelay(*record, *connection, result.outcome);
  if (!leg->inner) co_return;
  // The connection is over for all but the gateway.
  connection.reset();
  co_await CloseInner(std::move(*leg));
}

boost::asio::awaitable<void> PodProxy::CloseInner(OutboundLeg leg) {
  leg.inner->tunnel->Close();
  co_await leg.inner->tunnel->WaitClosed(kInnerCloseTime);
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
  auto route = co_await FindRoute(request, connection->interrupt());
  if (connection->cut()) co_return std::nullopt;
  if (!route) deny(*destination, route.error());
  for (int tries = 1; route; ++tries) {
    OutboundLeg leg;
    auto failure = co_await OpenLeg(*connection, leg, request, *route);
    if (!failure) co_return leg;
    Finish(*leg.record, *connection, &*failure);
    if (!failure->unreached || tries == kEndpointTries || connection->cut()) break;
    route = co_await RouteElsewhere(request, *route, connection->interrupt());
  }
  co_return std::nullopt;
}

boost::asio::awaitable<Result<OutboundRoute>> PodProxy::FindRoute(const OutboundRequest& request,
                                                                  Interrupt& interrupt) {
  auto route = RouteOutbound(context_.mesh, request, worker_.random());
  if (!route || !route->resolve) co_return route;
  const std::string hostname = route->resolve->hostname;
  if (context_.resolutions != nullptr) context_.resolutions->Count(request.source, hostname);
  auto addresses = co_await Resolve(hostname, interrupt);
  if (!addresses) {
    co_return Fail(
        addresses.error().Wrap("no valid destination: workload " + route->destination->uid));
  }
  co_return WithAddress(std::move(*route), *addresses, worker_.random());
}

boost::asio::awaitable<Result<OutboundRoute>> PodProxy::RouteElsewhere(OutboundRequest& request,
                                                                       const OutboundRoute& failed,
                                                                       Interrupt& interrupt) {
  if (!failed.destination) co_return Fail(ErrorCode::kUnavailable, "nothing is known of the peer");
  request.unreachable.push_back(failed.destination->uid);
  auto route = co_await FindRoute(request, interrupt);
  if (!route) co_return route;
  bool other =
      route->destination &&
      std::ranges::find(request.unreachable, route->destination->uid) == request.unreachable.end();
  if (!other) co_return Fail(ErrorCode::kUnavailable, "there is no other endpoint");
  co_return route;
}

boost::asio::awaitable<std::optional<Failure>> PodProxy::OpenLeg(Connection& connection,
                                                                 OutboundLeg& leg,
                                                                 const OutboundRequest& request,
                                                                 const OutboundRoute& route) {
  auto info = DescribeOutbound(connection, request, route);
  if (route.carrier != Carrier::kDoubleHbone) {
    leg.record = context_.traffic.Open(std::move(info));
    co_return co_await ConnectOutbound(connection, leg, route, *request.source);
  }
  // Who serves is known only when the inner tunnel is answered; until then it is the gateway.
  auto failure = co_await ConnectOutbound(connection, leg, route, *request.source);
  if (leg.inner) {
    const std::string& identity = leg.inner->tunnel->peer_identity();
    info.destination_identity = identity;
    auto server = WorkloadOfBaggage(leg.inner->baggage, identity);
    if (server && context_.config.response_baggage) info.destination_workload = std::move(server);
  }
  leg.record = context_.traffic.Open(std::move(info));
  co_return failure;
}

telemetry::ConnectionInfo PodProxy::DescribeOutbound(const Connection& connection,
                                                     const OutboundRequest& request,
                                                     const OutboundRoute& route) const {
  bool hbone = route.carrier != Carrier::kTcp;
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
  info.through_gateway = route.carrier == Carrier::kDoubleHbone;
  return info;
}

}  // namespace ambit::proxy
