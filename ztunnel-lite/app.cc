#include "ztunnel-lite/app.h"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <thread>
#include <tuple>

#include "lib/base/clock.h"
#include "lib/net/netns.h"
#include "lib/observe/metrics.h"
#include "ztunnel-lite/admin/servers.h"
#include "ztunnel-lite/dns/resolv_conf.h"
#include "ztunnel-lite/identity/ca/ca_client.h"
#include "ztunnel-lite/identity/crl_file.h"
#include "ztunnel-lite/local/source.h"
#include "ztunnel-lite/names/cares_resolver.h"
#include "ztunnel-lite/pod_lifecycle.h"
#include "ztunnel-lite/snapshot_of.h"
#include "ztunnel-lite/telemetry/traffic_meter.h"
#include "ztunnel-lite/telemetry/upkeep.h"
#include "ztunnel-lite/xds/client.h"
#include "ztunnel-lite/zds/client.h"

namespace ambit {

namespace {

constexpr char kScope[] = "app";
constexpr char kStateTask[] = "state manager";
// How often it is looked which workloads are gone.
constexpr std::chrono::milliseconds kSeriesLook{60000};

// What every pod needs from the kernel, tried once so that a missing privilege ends the start
// instead of each pod.
Result<void> CheckPrivileges(const config::Config& config) {
  if (!config.dedicated) {
    auto own = net::OpenOwnNetns();
    if (!own) return std::unexpected(own.error());
    auto entered = net::ScopedNetns::Enter(own->get());
    if (!entered) return std::unexpected(entered.error().Wrap("CAP_SYS_ADMIN is needed"));
  }
  if (config.packet_mark == 0) return {};
  auto socket = net::MakeTcpSocket(net::Family::kIpv4);
  if (!socket) return std::unexpected(socket.error());
  auto marked = net::SetMark(socket->get(), config.packet_mark);
  if (!marked) return std::unexpected(marked.error().Wrap("CAP_NET_ADMIN is needed"));
  return {};
}

// Signals have a thread of their own, since the control thread is busy while it drains. SIGTERM is
// taken by that thread only, main() having blocked it: once the thread is gone a further one stays
// pending, instead of making the end of a drain look like a death.
class Signals {
 public:
  explicit Signals(std::function<void()> stop)
      : stop_(std::move(stop)), signals_(io_, SIGTERM, SIGINT) {
    Wait();
    thread_ = std::thread([this] {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGTERM);
      pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
      io_.run();
    });
  }
  ~Signals() {
    io_.stop();
    thread_.join();
  }

 private:
  void Wait() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (stopping_ && signal == SIGINT) _exit(0);
      stopping_ = true;
      stop_();
      Wait();
    });
  }

  std::function<void()> stop_;
  bool stopping_ = false;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  std::thread thread_;
};

}  // namespace

// Members are in the order in which they depend on each other; the last goes first.
class App::Impl {
 public:
  Impl(const config::Config& config, observe::Log& log) : config_(config), log_(log) {}
  ~Impl() { signals_.reset(); }

  Result<void> Start();
  void Run();

 private:
  Result<void> ServePods();
  Result<void> StartControlPlane();
  Result<void> ServeOwnPod();
  void OnSynced();
  void RequestStop();
  void Drain();
  void AnnounceBuild();
  void ExpireSeries();

  const config::Config config_;
  observe::Log& log_;
  SystemClock clock_;
  boost::asio::io_context control_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      control_.get_executor()};
  telemetry::MetricsRegistry metrics_{config_.series_bound};
  observe::Readiness readiness_;
  state::MeshState mesh_;
  telemetry::TrafficMeter traffic_{metrics_, log_, clock_};
  telemetry::Upkeep error_summary_{control_, config_.error_summary_interval, [this] {
                                     traffic_.errors().Write(log_, config_.error_summary_interval);
                                   }};
  telemetry::Upkeep series_expiry_{control_, std::min(config_.series_keep, kSeriesLook),
                                   [this] { ExpireSeries(); }};
  tls::Revocations revocations_{metrics_};
  const tls::PeerRules peer_rules_{config_.trust_domain_aliases,
                                   config_.crl_path.empty() ? nullptr : &revocations_};
  identity::CaClient ca_{config_, control_};
  identity::CredentialCache credentials_{ca_, control_, clock_, log_};
  std::unique_ptr<names::HostResolver> resolver_;
  std::unique_ptr<proxy::PodProxies> proxies_;
  std::unique_ptr<identity::CrlFile> crl_;
  std::unique_ptr<PodLifecycle> lifecycle_;
  std::unique_ptr<zds::PodSet> pods_;
  std::unique_ptr<admin::Servers> servers_;
  std::unique_ptr<local::Source> local_;
  std::unique_ptr<xds::Client> xds_;
  std::unique_ptr<zds::Client> zds_;
  bool stopping_ = false;
  std::unique_ptr<Signals> signals_;
};

void App::Impl::ExpireSeries() {
  const auto workloads = mesh_.AllWorkloads();
  metrics_.ExpireSeries(telemetry::KnownWorkloads(workloads), clock_.Steady(), config_.series_keep);
}

void App::Impl::AnnounceBuild() {
  auto version = config_.proxy_metadata.find("ISTIO_VERSION");
  std::string tag = version == config_.proxy_metadata.end() ? "unknown" : version->second;
  prometheus::BuildGauge()
      .Name("istio_build")
      .Help("Istio component build info.")
      .Register(metrics_)
      .Add({{"component", "ztunnel"}, {"tag", tag}})
      .Set(1);
#ifdef NDEBUG
  constexpr std::string_view kBuild = "release";
#else
  constexpr std::string_view kBuild = "debug";
#endif
  log_.Info(kScope, "ztunnel-lite started",
            {{"version", observe::Bare{AMBIT_VERSION}},
             {"build", observe::Bare{kBuild}},
             {"node", config_.node_name},
             {"workers", int64_t{config_.worker_threads}},
             {"admin_port", int64_t{servers_->admin_endpoint().port}},
             {"metrics_port", int64_t{servers_->metrics_endpoint().port}},
             {"readiness_port", int64_t{servers_->readiness_endpoint().port}}});
  for (const auto& name : config_.unknown_variables) {
    log_.Warn(kScope, "environment variable is not known and has no effect", {{"name", name}});
  }
}

Result<void> App::Impl::Start() {
  if (config_.ca_address.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "environment variable CA_ADDRESS=\"\": a CA is needed");
  }
  auto privileged = CheckPrivileges(config_);
  if (!privileged) return privileged;
  readiness_.MarkPending(kStateTask);
  auto resolvers = dns::ReadResolvConf("/etc/resolv.conf");
  // The file is the pod's own only where the tunnel is in the pod.
  if (!config_.dedicated) resolvers.search.clear();
  auto hosts = names::StartCaresResolver(clock_, {.ipv6 = config_.ipv6});
  if (!hosts) return std::unexpected(hosts.error());
  resolver_ = std::move(*hosts);
  auto proxies = proxy::PodProxies::Create(
      {config_, mesh_, credentials_, traffic_, &log_, &peer_rules_, &metrics_.dns(),
       resolvers.servers, std::move(resolvers.search), resolver_.get(), &metrics_.resolutions()});
  if (!proxies) return std::unexpected(proxies.error());
  proxies_ = std::move(*proxies);
  if (!config_.crl_path.empty()) {
    crl_ = std::make_unique<identity::CrlFile>(
        identity::CrlFile::Context{config_.crl_path, revocations_, control_, log_},
        [this] { proxies_->RecheckPeers(); });
  }
  lifecycle_ = std::make_unique<PodLifecycle>(config_, mesh_, credentials_, *proxies_);
  if (auto serving = ServePods(); !serving) return serving;
  auto snapshot = [this] {
    return SnapshotOf(config_, mesh_, credentials_, pods_.get(), traffic_, local_.get());
  };
  admin::AdminContext admin{snapshot, [this] { RequestStop(); }, log_, config_.log_filter};
  auto servers = admin::Servers::Start({config_, control_, readiness_, metrics_, std::move(admin)});
  if (!servers) return std::unexpected(servers.error());
  servers_ = std::move(*servers);
  signals_ = std::make_unique<Signals>([this] { RequestStop(); });
  AnnounceBuild();
  if (auto own = ServeOwnPod(); !own) return own;
  return StartControlPlane();
}

// Of those the agent announces, or the one of a dedicated tunnel, which must then be servable.
Result<void> App::Impl::ServePods() {
  if (!config_.dedicated) {
    pods_ = std::make_unique<zds::PodSet>(*lifecycle_, readiness_, metrics_);
    return {};
  }
  const auto& [ns, name, service_account] = *config_.dedicated;
  return lifecycle_->Start({ns + "/" + name, name, ns, service_account}, UniqueFd());
}

// Where a tunnel of a node is told which pod it is.
Result<void> App::Impl::ServeOwnPod() {
  const auto& [name, ns, account] =
      std::tie(config_.pod_name, config_.pod_namespace, config_.service_account);
  if (config_.dedicated || name.empty() || ns.empty() || account.empty()) return {};
  return proxies_->StartOwn({.uid = "", .name = name, .ns = ns, .service_account = account});
}

Result<void> App::Impl::StartControlPlane() {
  auto local = local::Source::Start({config_, mesh_, control_, log_});
  if (!local) return std::unexpected(local.error());
  local_ = std::move(*local);
  if (config_.xds_address.empty()) {
    OnSynced();
    return {};
  }
  auto client =
      xds::Client::Start({config_, mesh_, control_, log_, metrics_}, [this] { OnSynced(); });
  if (!client) return std::unexpected(client.error());
  xds_ = std::move(*client);
  return {};
}

void App::Impl::OnSynced() {
  if (stopping_) return;
  readiness_.MarkReady(kStateTask);
  if (!pods_) return;
  // Not before: a pod whose mesh is unknown would be served wrongly.
  zds_ =
      std::make_unique<zds::Client>(zds::Client::Options{config_.zds_path}, control_, *pods_, log_);
}

// From any thread.
void App::Impl::RequestStop() {
  boost::asio::post(control_, [this] {
    if (stopping_) return;
    stopping_ = true;
    Drain();
    control_.stop();
  });
}

void App::Impl::Drain() {
  log_.Info(kScope, "shutting down",
            {{"deadline_ms", int64_t{config_.termination_deadline.count()}}});
  servers_->Stop();
  zds_.reset();
  xds_.reset();
  proxies_->Drain(config_.termination_deadline);
  log_.Info(kScope, "shut down");
}

void App::Impl::Run() { control_.run(); }

App::App(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
App::~App() = default;

Result<std::unique_ptr<App>> App::Start(const config::Config& config, observe::Log& log) {
  auto impl = std::make_unique<Impl>(config, log);
  auto started = impl->Start();
  if (!started) return std::unexpected(started.error());
  return std::unique_ptr<App>(new App(std::move(impl)));
}

void App::Run() { impl_->Run(); }

}  // namespace ambit
