#include <utility>

#include "lib/net/socket.h"
#include "ztunnel-lite/proxy/pod_proxy.h"

namespace ambit::proxy {

using telemetry::Reporter;

boost::asio::awaitable<void> PodProxy::ServeInboundPlain(ConnectionPtr connection) {
  auto leg = co_await OpenInboundPlain(connection);
  if (!leg || connection->cut()) {
    connection->Refuse();
    if (leg) Finish(*leg->record, *connection, nullptr);
    co_return;
  }
  auto* record = leg->record.get();
  auto options = RelayOptionsFor([record](uint64_t from_client, uint64_t to_client) {
    record->AddBytes(from_client, to_client);
  });
  auto& control = connection->BeginRelay();
  auto result = co_await hbone::RelayPlain(worker_.worker(), connection->TakeSocket(),
                                           std::move(leg->app), std::move(options), control);
  connection->EndRelay();
  FinishRelay(*record, *connection, result.outcome);
}

// Nothing: the failure has been reported.
boost::asio::awaitable<std::optional<PodProxy::InboundLeg>> PodProxy::OpenInboundPlain(
    ConnectionPtr connection) {
  auto& traffic = context_.traffic;
  auto destination = net::OriginalDestination(connection->socket());
  if (!destination) {
    traffic.EarlyDeny(Reporter::kDestination, connection->peer(), {}, destination.error());
    co_return std::nullopt;
  }
  if (IsTunnelPort(destination->port)) {
    traffic.EarlyDeny(Reporter::kDestination, connection->peer(), *destination,
                      Error(ErrorCode::kInvalidArgument,
                            destination->ToString() + " is a port of the tunnel itself"));
    co_return std::nullopt;
  }
  auto local = co_await WaitForLocalWorkload(connection->interrupt());
  if (connection->cut()) co_return std::nullopt;
  if (!local) {
    traffic.EarlyDeny(Reporter::kDestination, connection->peer(), *destination, MissingWorkload());
    co_return std::nullopt;
  }
  telemetry::ConnectionInfo info;
  info.reporter = Reporter::kDestination;
  info.source = connection->peer();
  info.destination = *destination;
  info.source_workload =
      context_.mesh.FindWorkloadByAddress({context_.config.network, connection->peer().address});
  info.destination_workload = local;
  info.destination_service = GuessService(context_.mesh, *local, destination->port, "");
  info.destination_identity = local->identity().Uri();
  InboundLeg leg;
  leg.record = traffic.Open(std::move(info));
  connection->rbac = RbacConnection{
      .source = connection->peer(), .source_identity = std::nullopt, .destination = *destination};
  if (auto allowed = Authorize(*local, *connection->rbac); !allowed) {
    Failure denied = FailAt(Stage::kPolicy, allowed.error()).error();
    Finish(*leg.record, *connection, &denied);
    co_return std::nullopt;
  }
  std::optional<net::IpAddress> source;
  if (listeners_.preserve_source_plain) source = connection->peer().address;
  auto app = co_await dialer_.Connect({*destination, source}, connection->interrupt());
  if (!app) {
    Failure failure = FailAt(Stage::kConnectPlain, app.error()).error();
    Finish(*leg.record, *connection, &failure);
    co_return std::nullopt;
  }
  leg.app = std::move(*app);
  co_return leg;
}

}  // namespace ambit::proxy
