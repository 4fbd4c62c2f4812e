#include "node-agent/app/health.h"

#include "lib/observe/metrics.h"

namespace ambit::agent {
namespace {

http1::Response Text(int status, std::string body) {
  http1::Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

http1::Response NotFound() { return Text(404, "there is no such page\n"); }

}  // namespace

boost::asio::awaitable<http1::Response> HealthPages::Health(http1::Request request) const {
  if (request.path() == "/healthz") co_return Text(200, "ok\n");
  if (request.path() != "/readyz") co_return NotFound();
  auto pending = readiness_.Pending();
  if (pending.empty()) co_return Text(200, "ready\n");
  std::string body = "not ready:";
  for (const auto& task : pending) body += " " + task;
  co_return Text(503, body + "\n");
}

boost::asio::awaitable<http1::Response> HealthPages::Metrics(http1::Request request) const {
  if (request.path() != "/metrics") co_return NotFound();
  http1::Response response = Text(200, observe::OpenMetricsText(registry_));
  response.content_type = observe::kOpenMetricsContentType;
  co_return response;
}

}  // namespace ambit::agent
