#include "ztunnel-lite/admin/profile.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <optional>

#include "lib/observe/cpu_profile.h"

namespace ambit::admin {

namespace {

namespace asio = boost::asio;

http1::Response Text(int status, std::string body) {
  http1::Response response;
  response.status = status;
  response.body = std::move(body);
  response.content_type = "text/plain";
  return response;
}

// Nothing: malformed, or not from 1 to `most`.
std::optional<int> Number(const http1::Request& request, std::string_view name, int fallback,
                          int most) {
  if (!request.HasQuery(name)) return fallback;
  const std::string text = request.Query(name);
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || number < 1 || number > most) return std::nullopt;
  return number;
}

}  // namespace

asio::awaitable<http1::Response> AnswerProfile(http1::Request request) {
  if (request.path() == "/debug/pprof/heap" || request.path() == "/debug/pprof/heap/profiling") {
    co_return Text(500,
                   "heap profiling is not enabled: it needs an allocator that samples, and this "
                   "build uses the C library's\n");
  }
  if (request.path() != "/debug/pprof/profile") co_return Text(404, "");
  const auto seconds = Number(request, "seconds", 10, kMaxProfileSeconds);
  if (!seconds) co_return Text(400, "invalid seconds value; expected 1-300\n");
  const auto frequency = Number(request, "frequency", 100, 1000);
  if (!frequency) co_return Text(400, "invalid frequency value; expected 1-1000\n");
  auto profile = observe::CpuProfile::Start(*frequency);
  if (!profile) co_return Text(503, profile.error().message() + "\n");
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(*seconds));
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  http1::Response response = Text(200, (*profile)->Finish());
  response.content_type = "application/octet-stream";
  co_return response;
}

}  // namespace ambit::admin
