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
  auto deny = [&](const net::Endpoint& destination, const Error& error) {
    context_.traffic.EarlyDeny(Reporter::kDestination, connection->peer(), destination, error);
  };
  auto destination = net::OriginalDestination(connection->socket());
  if (!destination) {
    deny({}, destination.error());
    co_return std::nullopt;
  }
  if (IsTunnelPort(destination->port)) {
    deny(*destination, Error(ErrorCode::kInvalidArgument,
                             destination->ToString() + " is a port of the tunnel itself"));
    co_return std::nullopt;
  }
  auto local = co_await WaitForLocalWorkload(connection->interrupt());
  if (connection->cut()) co_return std::nullopt;
  if (!local) {
    deny(*destination, MissingWorkload());
    co_return std::nullopt;
  }
  InboundLeg leg;
  leg.record = context_.traffic.Open(DescribePlain(*connection, *destination, local));
  RbacConnection rbac{
      .source = connection->peer(), .source_identity = std::nullopt, .destination = *destination};
  Dialer::Target target{*destination, std::nullopt};
  if (listeners_.preserve_source_plain) target.source = connection->peer().address;
  auto app = co_await ConnectInbound(*connection, *local, std::move(rbac), target);
  if (!app) {
    Finish(*leg.record, *connection, &app.error());
    co_return std::nullopt;
  }
  leg.app = std::move(*app);
  co_return leg;
}

telemetry::ConnectionInfo PodProxy::DescribePlain(const Connection& connection,
                                                  const net::Endpoint& destination,
                                                  const state::WorkloadPtr& local) const {
  telemetry::ConnectionInfo info;
  info.reporter = Reporter::kDestination;
  info.source = connection.peer();
  info.destination = destination;
  info.source_workload =
      context_.mesh.FindWorkloadByAddress({context_.config.network, connection.peer().address});
  info.destination_workload = local;
  info.destination_service = GuessService(context_.mesh, *local, destination.port, "");
  info.destination_identity = local->identity().Uri();
  return info;
}

}  // namespace ambit::proxy
