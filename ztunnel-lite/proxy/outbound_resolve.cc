#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "ztunnel-lite/proxy/pod_proxy.h"

namespace ambit::proxy {

namespace asio = boost::asio;

namespace {

// The answer on its way from the resolver's thread to the worker's.
struct Pending {
  explicit Pending(asio::io_context& io) : timer(io, asio::steady_timer::time_point::max()) {}
  asio::steady_timer timer;
  std::optional<Result<names::Addresses>> answer;
};

}  // namespace

asio::awaitable<Result<names::Addresses>> PodProxy::Resolve(std::string hostname,
                                                            Interrupt& interrupt) {
  if (context_.resolver == nullptr) {
    co_return Fail(ErrorCode::kUnavailable, "nobody is there to resolve " + hostname);
  }
  auto pending = std::make_shared<Pending>(worker_.io());
  auto done = [pending, &io = worker_.io()](Result<names::Addresses> answer) {
    asio::post(io, [pending, answer = std::move(answer)]() mutable {
      pending->answer = std::move(answer);
      pending->timer.cancel();
    });
  };
  auto question = context_.resolver->Ask(hostname, std::move(done));
  if (!interrupt.fired()) {
    Interrupt::Scope scope(interrupt, [pending] { pending->timer.cancel(); });
    co_await pending->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (pending->answer) co_return std::move(*pending->answer);
  co_return Fail(ErrorCode::kCancelled, "the pod is stopping");
}

}  // namespace ambit::proxy
