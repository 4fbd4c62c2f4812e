#include "node-agent/app/app.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include "lib/k8s/manifest_folder.h"

namespace ambit::agent {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr char kScope[] = "agent";
constexpr char kSourceTask[] = "source";
constexpr char kCommandTask[] = "command socket";
constexpr milliseconds kProbeRetry(1000);
constexpr milliseconds kDrainStep(10);

// 0755 on the way down to the file, whatever the umask of who starts us.
Result<void> MakeParent(const std::string& path) {
  std::error_code error;
  auto parent = std::filesystem::path(path).parent_path();
  if (parent.empty() || std::filesystem::is_directory(parent, error)) return {};
  std::filesystem::create_directories(parent, error);
  if (error) return FailErrno(error.value(), "create folder " + parent.string());
  std::filesystem::permissions(parent, std::filesystem::perms(0755), error);
  return {};
}

http1::Limits CommandLimits() {
  http1::Limits limits;
  // Above the budget of a command, so that its own answer comes first.
  limits.request_timeout = milliseconds(10000);
  limits.max_connections = 512;
  return limits;
}

// On both families; on IPv4 alone where the kernel has no IPv6.
Result<std::unique_ptr<http1::Server>> ListenPage(asio::io_context& io, uint16_t port,
                                                  http1::Handler handler) {
  auto both =
      http1::Server::ListenTcp(io, {net::IpAddress::Any(net::Family::kIpv6), port}, {}, handler);
  if (both ||
      (both.error().sys_errno() != EAFNOSUPPORT && both.error().sys_errno() != EADDRNOTAVAIL)) {
    return both;
  }
  return http1::Server::ListenTcp(io, {net::IpAddress::Any(net::Family::kIpv4), port}, {},
                                  std::move(handler));
}

asio::awaitable<void> Pause(asio::steady_timer& timer, milliseconds time) {
  boost::system::error_code ignored;
  timer.expires_after(time);
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace

Result<std::unique_ptr<App>> App::Make(Options options, observe::Log& log) {
  auto own = net::OpenOwnNetns();
  if (!own) return Fail(own.error());
  auto host = net::IdentifyNetns(own->get());
  if (!host) return Fail(host.error());
  auto boot_id = podns::ReadBootId();
  if (!boot_id) return Fail(boot_id.error());
  podns::StateFile state(options.state_folder, std::move(*boot_id));
  std::unique_ptr<App> app(new App(std::move(options), log, *host, std::move(state)));
  if (auto opened = app->Open(); !opened) return Fail(opened.error());
  return app;
}

App::App(Options options, observe::Log& log, net::NetnsId host, podns::StateFile state)
    : options_(std::move(options)),
      log_(log),
      enrolment_metrics_(registry_),
      connected_(prometheus::BuildGauge()
                     .Name("ztunnel_connected")
                     .Help("1 while a tunnel has its snapshot and gets pods")
                     .Register(registry_)
                     .Add({})),
      state_(std::move(state)),
      host_(host),
      probe_set_({.kubelet_uid = options_.kubelet_uid,
                  .ipv6 = options_.redirect.ipv6,
                  .probe_v4 = options_.redirect.probe_v4,
                  .probe_v6 = options_.redirect.probe_v6}),
      probes_(io_, pool_, probe_set_) {}

App::~App() { pool_.join(); }

Result<void> App::Open() {
  for (const auto& path :
       {options_.agent_socket, options_.zds_socket, options_.state_folder + "/."}) {
    if (auto made = MakeParent(path); !made) return made;
  }
  readiness_.MarkPending(kSourceTask);
  readiness_.MarkPending(kCommandTask);
  auto tunnels = zds::Server::Listen(io_, {.path = options_.zds_socket, .deadlines = {}}, log_,
                                     [this] { connected_.Set(tunnels_->connected() ? 1 : 0); });
  if (!tunnels) return Fail(tunnels.error().Wrap("open the tunnels' socket"));
  tunnels_ = std::move(*tunnels);
  effects_.emplace(pool_, *tunnels_, probes_);
  reconciler_.emplace(io_, *effects_, clock_, log_, enrolment_metrics_, reconcile::Options{},
                      [this](const std::vector<podns::SavedPod>& pods) {
                        if (auto saved = state_.Save(pods); !saved) {
                          log_.ErrorLine(kScope, saved.error().message());
                        }
                      });
  view_.emplace(io_,
                reconcile::MeshView::Options{.selection = options_.selection,
                                             .redirect = options_.redirect,
                                             .node_name = options_.node_name,
                                             .host = host_},
                *reconciler_, log_, [this] { OnSynced(); });
  commands_.emplace(
      *view_, *reconciler_, *effects_, log_, registry_,
      cmd::Options{.host = host_, .status_needs_tunnel = options_.status_needs_tunnel});
  pages_.emplace(readiness_, registry_);
  source_ = std::make_unique<k8s::ManifestFolder>(io_, options_.manifests, log_);
  return OpenSockets();
}

Result<void> App::OpenSockets() {
  auto command = http1::Server::ListenUnix(
      io_, options_.agent_socket, CommandLimits(),
      [this](http1::Request request) { return commands_->Handle(std::move(request)); });
  if (!command) return Fail(command.error().Wrap("open the plugins' socket"));
  command_server_ = std::move(*command);
  readiness_.MarkReady(kCommandTask);
  if (options_.health_port != 0) {
    auto health = ListenPage(io_, options_.health_port, [this](http1::Request request) {
      return pages_->Health(std::move(request));
    });
    if (!health) return Fail(health.error().Wrap("open the health port"));
    health_server_ = std::move(*health);
  }
  if (options_.monitoring_port == 0) return {};
  auto metrics = ListenPage(io_, options_.monitoring_port, [this](http1::Request request) {
    return pages_->Metrics(std::move(request));
  });
  // As Istio's agent: without metrics the node still works.
  if (!metrics) {
    log_.ErrorLine(kScope, metrics.error().Wrap("open the metrics port").message());
  } else {
    metrics_server_ = std::move(*metrics);
  }
  return {};
}

void App::Restore() {
  auto saved = state_.Load();
  if (!saved) {
    log_.ErrorLine(kScope, saved.error().message(),
                   {{"effect", "namespaces of running pods are known again at their next ADD"}});
    return;
  }
  std::vector<std::string> dropped;
  for (const auto& pod : podns::Reopen(std::move(*saved), host_, dropped)) {
    reconciler_->Restore(pod);
  }
  for (const auto& sentence : dropped) log_.Info(kScope, sentence);
}

void App::OnSynced() {
  reconciler_->Begin();
  tunnels_->Accept();
  asio::co_spawn(io_, InstallProbes(), asio::detached);
  if (options_.verify_interval.count() > 0) {
    asio::co_spawn(io_, VerifyRegularly(), asio::detached);
  }
  readiness_.MarkReady(kSourceTask);
  log_.Info(kScope, "ready", {{"socket", options_.agent_socket}, {"zds", options_.zds_socket}});
}

// With the addresses of all pods that were enrolled before, so that none is missing for a moment.
asio::awaitable<void> App::InstallProbes() {
  asio::steady_timer timer(io_);
  bool reported = false;
  while (!stopping_) {
    auto flushed = co_await probes_.Flush();
    if (flushed) co_return;
    if (!std::exchange(reported, true)) {
      log_.ErrorLine(kScope, flushed.error().Wrap("install the host's probe rules").message());
    }
    co_await Pause(timer, kProbeRetry);
  }
}

asio::awaitable<void> App::VerifyRegularly() {
  while (!stopping_) {
    co_await Pause(verify_timer_, options_.verify_interval);
    if (stopping_) co_return;
    view_->RetryAnnotations();
    reconciler_->VerifyAll();
    auto flushed = co_await probes_.Renew();
    if (!flushed) log_.Warn(kScope, flushed.error().Wrap("renew the host's probe rules").message());
  }
}

Result<void> App::Run() {
  Restore();
  if (auto started = source_->Start(*view_); !started) {
    return Fail(started.error().Wrap("watch the manifests"));
  }
  io_.run();
  return {};
}

void App::RequestStop() {
  asio::post(io_, [this] {
    if (std::exchange(stopping_, true)) return;
    log_.Info(kScope, "stopping; rules and pods stay as they are");
    command_server_->Stop();
    verify_timer_.cancel();
    asio::co_spawn(io_, Drain(), asio::detached);
  });
}

// Polls: it happens once in a process's life, and a step must not have to tell anyone that it
// ended.
asio::awaitable<void> App::Drain() {
  auto end = std::chrono::steady_clock::now() + options_.shutdown_timeout;
  asio::steady_timer timer(io_);
  while (commands_->running() > 0 && std::chrono::steady_clock::now() < end) {
    co_await Pause(timer, kDrainStep);
  }
  reconciler_->Stop();
  // Ends the steps that wait for a tunnel.
  tunnels_->Stop();
  while (reconciler_->running() > 0 && std::chrono::steady_clock::now() < end) {
    co_await Pause(timer, kDrainStep);
  }
  // The last answers are written and the state is saved in this turn of the loop.
  co_await Pause(timer, kDrainStep);
  io_.stop();
}

void App::StopOnSignals() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait([this](const boost::system::error_code& cancelled, int) {
    if (!cancelled) RequestStop();
  });
}

}  // namespace ambit::agent
