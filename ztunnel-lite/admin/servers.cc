#include "ztunnel-lite/admin/servers.h"

#include <sys/resource.h>

#include <filesystem>
#include <fstream>

#include "ztunnel-lite/admin/profile.h"

namespace ambit::admin {

namespace {

boost::asio::awaitable<http1::Response> Ready(http1::Response response) { co_return response; }

bool LoopbackHasIpv6() {
  std::ifstream file("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
  char disabled = '1';
  return file.get(disabled) && disabled == '0';
}

double OpenFds() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the one that lists them
}

prometheus::Gauge& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

void Servers::UpdateProcessMetrics() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  Gauge(context_.metrics, "process_open_fds", "Number of open file descriptors").Set(OpenFds());
  Gauge(context_.metrics, "process_max_fds", "Maximum number of file descriptors")
      .Set(static_cast<double>(limit.rlim_cur));
}

Result<void> Servers::Listen(const net::Endpoint& endpoint, http1::Handler handler) {
  http1::Limits limits;
  limits.request_timeout = std::chrono::seconds(kMaxProfileSeconds + 10);
  auto server = http1::Server::ListenTcp(context_.control, endpoint, limits, std::move(handler));
  if (!server) return std::unexpected(server.error());
  servers_.push_back(std::move(*server));
  return {};
}

Result<void> Servers::ListenAll() {
  const config::Config& config = context_.config;
  http1::Handler admin = [this](http1::Request request) {
    if (request.path().starts_with(kProfilePath)) return AnswerProfile(std::move(request));
    return Ready(AnswerAdmin(context_.admin, request));
  };
  http1::Handler metrics = [this](http1::Request request) {
    UpdateProcessMetrics();
    return Ready(AnswerMetrics(context_.metrics, request));
  };
  http1::Handler readiness = [this](http1::Request request) {
    return Ready(AnswerReadiness(context_.readiness, request));
  };
  auto any = net::IpAddress::Any(config.ipv6 ? net::Family::kIpv6 : net::Family::kIpv4);
  auto listening = Listen({net::IpAddress::Loopback(net::Family::kIpv4), config.admin_port}, admin);
  if (listening) listening = Listen({any, config.metrics_port}, metrics);
  if (listening) listening = Listen({any, config.readiness_port}, readiness);
  if (!listening || !config.ipv6 || !LoopbackHasIpv6()) return listening;
  return Listen({net::IpAddress::Loopback(net::Family::kIpv6), admin_endpoint().port}, admin);
}

Result<std::unique_ptr<Servers>> Servers::Start(Context context) {
  std::unique_ptr<Servers> servers(new Servers(std::move(context)));
  auto listening = servers->ListenAll();
  if (!listening) return std::unexpected(listening.error());
  return servers;
}

void Servers::Stop() {
  for (auto& server : servers_) server->Stop();
}

}  // namespace ambit::admin
