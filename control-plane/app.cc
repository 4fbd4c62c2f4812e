#include "control-plane/app.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <utility>

#include "control-plane/ads/service.h"
#include "control-plane/ca/root.h"
#include "control-plane/ca/service.h"
#include "control-plane/callers/authenticator.h"
#include "control-plane/callers/kept_file.h"
#include "control-plane/feed.h"
#include "lib/k8s/manifest_folder.h"

namespace ambit::control {
namespace {

constexpr char kScope[] = "control";
// Enough for certificate calls, which take less than a millisecond each; streams never end.
constexpr std::chrono::milliseconds kStopDeadline{200};
// A reconnecting client lists the version of everything that it has.
constexpr int kMaxRequestBytes = 64 << 20;

Result<std::shared_ptr<grpc::ServerCredentials>> Credentials(const Options& options,
                                                             const ca::Root& root) {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1", "istiod.istio-system.svc"};
  names.insert(names.end(), options.hostnames.begin(), options.hostnames.end());
  auto serving = root.MakeServing(names);
  if (!serving) return Fail(serving.error().Wrap("the serving certificate"));
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = root.certificate_pem();
  tls.pem_key_cert_pairs.push_back({serving->key_pem, serving->chain_pem});
  return grpc::SslServerCredentials(tls);
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  // A second process must fail instead of taking half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 256);
  // Finds clients that went without a word, and lets them do the same with us.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
}

}  // namespace

struct App::Parts {
  Parts(const Options& options, ca::Root signing_root, boost::asio::io_context& context,
        observe::Log& app_log)
      : log(app_log),
        root(std::move(signing_root)),
        tokens(options.tokens, app_log),
        authenticator(options.names.trust_domain, tokens),
        feed(options.names, stores.addresses, accounts),
        source(context, options.manifests, app_log),
        certificates(options.names.trust_domain, {root, authenticator, accounts, app_log}),
        discovery({stores, authenticator, app_log}) {}

  Result<void> Serve(const Options& options) {
    auto credentials = Credentials(options, root);
    if (!credentials) return Fail(credentials.error());
    grpc::ServerBuilder builder;
    SetLimits(builder);
    builder.AddListeningPort(options.address.ToString(), *credentials, &port);
    builder.RegisterService(&discovery);
    builder.RegisterService(&certificates);
    server = builder.BuildAndStart();
    if (server && port != 0) return {};
    return Fail(ErrorCode::kUnavailable, "serving on " + options.address.ToString() +
                                             " failed; another process may have the port, or the "
                                             "address may not be this machine's");
  }

  observe::Log& log;
  const ca::Root root;
  callers::TokenFile tokens;
  const callers::Authenticator authenticator;
  index::NodeAccounts accounts;
  ads::Stores stores;
  Feed feed;
  k8s::ManifestFolder source;
  ca::CertificateService certificates;
  ads::DiscoveryService discovery;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

App::App(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

App::~App() {
  // Streams never end by themselves; the deadline cancels them.
  parts_->server->Shutdown(std::chrono::system_clock::now() + kStopDeadline);
  parts_->server->Wait();
}

uint16_t App::port() const { return static_cast<uint16_t>(parts_->port); }

Result<std::unique_ptr<App>> App::Start(const Options& options, boost::asio::io_context& context,
                                        observe::Log& log, const Clock& clock) {
  auto root = ca::Root::Open(options.data, options.names.trust_domain, clock);
  if (!root) return Fail(root.error().Wrap("the root of the certificate authority"));
  auto parts = std::make_unique<Parts>(options, *std::move(root), context, log);
  auto loaded = parts->tokens.Load();
  if (!loaded) return Fail(loaded.error().Wrap("the token file"));
  if (options.tokens.empty()) {
    log.Warn(kScope, "no token file is set: only node certificates are accepted from callers");
  }
  auto started = parts->source.Start(parts->feed);
  if (!started) return Fail(started.error().Wrap("the manifests"));
  auto served = parts->Serve(options);
  if (!served) return Fail(served.error());
  auto app = std::unique_ptr<App>(new App(std::move(parts)));
  std::string port = std::to_string(app->port());
  if (!options.port_file.empty()) {
    auto kept = callers::KeepFile(options.port_file, port + "\n", 0644);
    if (!kept) return Fail(kept.error().Wrap("the port file"));
  }
  std::string where = net::Endpoint{options.address.address, app->port()}.ToString();
  log.Info(kScope, "serving on " + where,
           {{"port", int64_t{app->port()}},
            {"resources", static_cast<int64_t>(app->parts_->stores.addresses.size())}});
  return app;
}

}  // namespace ambit::control
