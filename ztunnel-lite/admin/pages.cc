#include "ztunnel-lite/admin/pages.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "lib/http1/compression.h"
#include "lib/observe/log_filter.h"
#include "ztunnel-lite/config/log_scopes.h"

namespace ambit::admin {

namespace {

constexpr char kPlain[] = "text/plain";
constexpr char kLoggingHelp[] =
    "usage: POST /logging\t\t\t\t\t\t(To list current level)\n"
    "usage: POST /logging?level=<level>\t\t\t\t(To change global levels)\n"
    "usage: POST /logging?level={mod1}={level1},{mod2}={level2}\t(To change specific mods)\n"
    "usage: POST /logging?reset\t\t\t\t\t(To go back to the level of the start)\n"
    "\nvalid levels: error, warn, info, debug, trace, off\n";
constexpr char kIndex[] =
    "<!DOCTYPE html><html><head><title>Ambit ztunnel-lite</title></head><body>"
    "<h1>ztunnel-lite</h1><ul>"
    "<li><a href=\"config_dump\">config_dump</a>: what the tunnel knows and serves</li>"
    "<li>logging (POST): levels of the log</li>"
    "<li><a href=\"debug/pprof/profile?seconds=10\">debug/pprof/profile</a>: "
    "where the CPU time goes, for pprof</li>"
    "<li>quitquitquit (POST): shut down</li>"
    "</ul></body></html>\n";

http1::Response Text(int status, std::string body) {
  http1::Response response;
  response.status = status;
  response.body = std::move(body);
  response.content_type = kPlain;
  return response;
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t comma = text.find(',');
    if (comma != 0) parts.push_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return parts;
}

// The scope of a filter entry; empty for a bare level.
std::string_view TargetOf(std::string_view entry) {
  size_t equals = entry.find('=');
  return equals == std::string_view::npos ? std::string_view() : entry.substr(0, equals);
}

http1::Response AnswerLogging(const AdminContext& context, const http1::Request& request) {
  if (request.method != "POST") return Text(405, kLoggingHelp);
  bool reset = request.HasQuery("reset");
  const std::string level = config::OwnScopes(request.Query("level"));
  if (auto valid = observe::LogFilter::Parse(level); !valid) {
    return Text(400, valid.error().message() + "\n" + kLoggingHelp);
  }
  if (reset || !level.empty()) {
    std::string filter = MergeFilters(reset ? context.default_filter : context.log.filter(), level);
    auto changed = context.log.SetFilter(filter);
    if (!changed) return Text(400, changed.error().message() + "\n" + kLoggingHelp);
  }
  return Text(200, "current log level is " + context.log.filter() + "\n");
}

bool WantsOpenMetrics(const http1::Request& request) {
  auto accept = request.headers.find("accept");
  if (accept == request.headers.end()) return false;
  std::string lower = accept->second;
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::ranges::any_of(Split(lower), [](std::string_view element) {
    element = element.substr(0, element.find(';'));
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    return element == "application/openmetrics-text";
  });
}

}  // namespace

std::string MergeFilters(const std::string& current, const std::string& added) {
  auto entries = Split(current);
  for (std::string_view entry : Split(added)) {
    std::erase_if(entries, [&](std::string_view old) { return TargetOf(old) == TargetOf(entry); });
    entries.push_back(entry);
  }
  std::string merged;
  for (std::string_view entry : entries) {
    if (!merged.empty()) merged += ',';
    merged += entry;
  }
  return merged;
}

http1::Response AnswerReadiness(const observe::Readiness& readiness,
                                const http1::Request& request) {
  if (request.path() != "/healthz/ready") return Text(404, "");
  if (request.method != "GET") return Text(405, "");
  auto pending = readiness.Pending();
  if (pending.empty()) return Text(200, "ready\n");
  std::string names;
  for (const auto& name : pending) names += (names.empty() ? "" : ", ") + name;
  return Text(500, "not ready, pending: " + names + "\n");
}

http1::Response AnswerMetrics(const prometheus::Registry& registry, const http1::Request& request) {
  if (request.path() != "/metrics" && request.path() != "/stats/prometheus") return Text(404, "");
  http1::Response response;
  response.body = observe::OpenMetricsText(registry);
  if (WantsOpenMetrics(request)) response.content_type = observe::kOpenMetricsContentType;
  http1::Compress(request, response);
  return response;
}

http1::Response AnswerAdmin(const AdminContext& context, const http1::Request& request) {
  std::string_view path = request.path();
  if (path == "/") {
    http1::Response response = Text(200, kIndex);
    response.content_type = "text/html; charset=utf-8";
    return response;
  }
  if (path == "/config_dump") {
    http1::Response response = Text(200, ConfigDump(context.snapshot()));
    response.content_type = "application/json";
    return response;
  }
  if (path == "/logging") return AnswerLogging(context, request);
  if (path == "/quitquitquit") {
    if (request.method != "POST") return Text(405, "");
    context.quit();
    return Text(200, "shutdown now\n");
  }
  return Text(404, "");
}

}  // namespace ambit::admin
