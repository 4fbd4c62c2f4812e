#include <utility>

#include "ztunnel-lite/proxy/connect_headers.h"
#include "ztunnel-lite/proxy/pod_proxy.h"

namespace ambit::proxy {

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
  auto stream = co_await OpenTunnelStream(connection, std::move(key), request);
  if (!stream) co_return stream.error();
  leg.lease.emplace(std::move(stream->lease));
  leg.stream = std::move(stream->stream);
  if (route.carrier == Carrier::kHbone) co_return std::nullopt;
  co_return co_await OpenInnerTunnel(leg, route, source, std::move(request));
}

boost::asio::awaitable<std::optional<Failure>> PodProxy::OpenInnerTunnel(
    OutboundLeg& leg, const OutboundRoute& route, const state::Workload& source,
    hbone::ConnectRequest request) {
  // The gateway was reached, so that this is never a reason to try another one.
  auto failed = [&](Stage stage, const Error& error) {
    auto failure = FailAt(stage, error.Wrap("tunnel through gateway " + route.next_hop.ToString() +
                                            " to " + route.authority))
                       .error();
    failure.unreached = false;
    return failure;
  };
  auto credential = co_await context_.credentials.Get(source.identity());
  if (!credential) co_return failed(Stage::kCredential, credential.error());
  auto tunnel = co_await hbone::ClientTunnel::EstablishInside(
      worker_.worker(), std::move(leg.stream), *credential, route.inner_sans, TunnelSettings());
  if (!tunnel) co_return failed(Stage::kHandshake, tunnel.error());
  request.x_forwarded_network = context_.config.network;
  auto opened = co_await (*tunnel)->OpenStream(request, context_.config.response_timeout);
  if (!opened) co_return failed(Stage::kAnswer, opened.error());
  leg.inner.emplace(std::move(*tunnel), std::move(opened->response.baggage));
  leg.stream = std::move(opened->stream);
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

}  // namespace ambit::proxy
