// A tunnel inside a stream of another one, as traffic to another network takes it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <cerrno>
#include <thread>

#include "lib/net/socket.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

struct InnerOptions {
  std::vector<std::string> sans = {TestTunnel::kServer};
  Settings settings;
};

asio::awaitable<Result<void>> TalkInside(Worker& worker, ClientTunnel& outer,
                                         tls::CredentialPtr credential, UniqueFd app,
                                         InnerOptions options) {
  ConnectRequest request;
  request.authority = "web.default.svc.cluster.local:80";
  auto carrier = co_await outer.OpenStream(request, milliseconds(10000));
  if (!carrier) co_return std::unexpected(carrier.error());
  auto inner = co_await ClientTunnel::EstablishInside(
      worker, std::move(carrier->stream), std::move(credential), options.sans, options.settings);
  if (!inner) co_return std::unexpected(inner.error());
  request.x_forwarded_network = "network-a";
  auto opened = co_await (*inner)->OpenStream(request, milliseconds(10000));
  if (!opened) co_return std::unexpected(opened.error());
  RelayControl control;
  RelayResult result =
      co_await RelayStream(worker, std::move(opened->stream), std::move(app), {}, control);
  (*inner)->Close();
  co_await (*inner)->WaitClosed(milliseconds(10000));
  co_return std::move(result.outcome);
}

// A client, a gateway that passes streams on, and a server behind it; the server has the gateway's
// name, which is another test's matter.
struct Nested {
  explicit Nested(InnerOptions options = {}) {
    TcpPair app = MakeTcpPair();
    SetBlocking(app.near.get());
    client_app = std::move(app.near);
    ClientTunnel* outer = nullptr;
    tunnel.OnClient([&outer](ClientTunnel& client) { outer = &client; });
    Worker& worker = tunnel.client_thread().worker();
    client_result = asio::co_spawn(worker.io(),
                                   TalkInside(worker, *outer, tunnel.client_credential(),
                                              std::move(app.far), std::move(options)),
                                   asio::use_future);
  }
  // The server takes what the gateway passes on.
  void Serve() { inner_ended = tunnel.Serve(tunnel.NextServerApp()); }
  void Open() {
    Serve();
    server_app = tunnel.NextServerApp();
  }

  UniqueFd client_app;
  UniqueFd server_app;
  std::future<Result<void>> client_result;
  std::future<Result<void>> inner_ended;
  TestTunnel tunnel;
};

TEST(NestedTunnel, CarriesBytesBothWaysAndBothTunnelsEndCleanly) {
  Nested nested;
  nested.Open();
  EXPECT_EQ(nested.tunnel.LastRequest().x_forwarded_network, "network-a");
  EXPECT_EQ(nested.tunnel.LastRequest().authority, "web.default.svc.cluster.local:80");
  SendAll(nested.client_app.get(), "question");
  EXPECT_EQ(ReceiveExactly(nested.server_app.get(), 8), "question");
  shutdown(nested.client_app.get(), SHUT_WR);
  EXPECT_EQ(ReceiveAll(nested.server_app.get()), "");
  SendAll(nested.server_app.get(), "answer after the half-close");
  nested.server_app.Reset();
  EXPECT_EQ(ReceiveAll(nested.client_app.get()), "answer after the half-close");
  EXPECT_TRUE(nested.client_result.get());
  EXPECT_TRUE(nested.inner_ended.get());
  for (const char* relay : {"the server's", "the gateway's"}) {
    const RelayResult ended = nested.tunnel.NextServerResult();
    EXPECT_TRUE(ended.outcome) << relay << ": " << ended.outcome.error().message();
  }
  nested.tunnel.OnClient([](ClientTunnel& outer) {
    EXPECT_TRUE(outer.usable());
    EXPECT_EQ(outer.active_streams(), 0u);
  });
}

TEST(NestedTunnel, TwentyMegabytesArriveWholeInBothDirectionsAtOnce) {
  Nested nested;
  nested.Open();
  const std::string up = Pattern(20 << 20, 1), down = Pattern(20 << 20, 2);
  std::thread upload([&] {
    SendAll(nested.client_app.get(), up);
    shutdown(nested.client_app.get(), SHUT_WR);
  });
  std::thread download([&] {
    SendAll(nested.server_app.get(), down);
    shutdown(nested.server_app.get(), SHUT_WR);
  });
  std::string at_server;
  std::thread reader([&] { at_server = ReceiveAll(nested.server_app.get()); });
  const std::string at_client = ReceiveAll(nested.client_app.get());
  upload.join();
  download.join();
  reader.join();
  EXPECT_TRUE(at_client == down) << at_client.size();
  EXPECT_TRUE(at_server == up) << at_server.size();
  EXPECT_TRUE(nested.client_result.get());
}

TEST(NestedTunnel, AResetOfEitherAppReachesTheOther) {
  for (const bool by_client : {true, false}) {
    Nested nested;
    nested.Open();
    SendAll(nested.client_app.get(), "x");
    ReceiveExactly(nested.server_app.get(), 1);
    UniqueFd& broken = by_client ? nested.client_app : nested.server_app;
    UniqueFd& other = by_client ? nested.server_app : nested.client_app;
    ASSERT_TRUE(net::SetResetOnClose(broken.get()));
    broken.Reset();
    EXPECT_EQ(ReadError(other.get()), ECONNRESET) << by_client;
    EXPECT_FALSE(nested.client_result.get());
  }
}

TEST(NestedTunnel, ALostOuterTunnelResetsTheAppWithItsReason) {
  Nested nested;
  nested.Open();
  SendAll(nested.client_app.get(), "x");
  ReceiveExactly(nested.server_app.get(), 1);
  nested.tunnel.OnServer([](ServerTunnel& gateway) { gateway.Abort(); });
  EXPECT_EQ(ReadError(nested.client_app.get()), ECONNRESET);
  EXPECT_FALSE(nested.client_result.get());
}

TEST(NestedTunnel, AServerThatSaysNothingIsGivenUpAfterTheDeadline) {
  InnerOptions options;
  options.settings.handshake_timeout = milliseconds(50);
  Nested nested(options);
  UniqueFd silent = nested.tunnel.NextServerApp();
  const auto outcome = nested.client_result.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kTimedOut);
}

TEST(NestedTunnel, AServerThatClosesIsAnErrorAtOnce) {
  Nested nested;
  const UniqueFd server = nested.tunnel.NextServerApp();
  // A close would be a reset where the client's hello has not been read.
  shutdown(server.get(), SHUT_WR);
  const auto outcome = nested.client_result.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kUnavailable);
}

TEST(NestedTunnel, TheServerMustBeWhoWasExpected) {
  InnerOptions options;
  options.sans = {"spiffe://cluster.local/ns/default/sa/somebody-else"};
  Nested nested(options);
  nested.Serve();
  const auto outcome = nested.client_result.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_THAT(outcome.error().message(), HasSubstr("somebody-else"));
}

}  // namespace
}  // namespace ambit::hbone
