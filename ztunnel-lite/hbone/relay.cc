#include <utility>

#include "ztunnel-lite/hbone/plain_relay.h"
#include "ztunnel-lite/hbone/stream_relay.h"
#include "ztunnel-lite/hbone/tunnel.h"

namespace ambit::hbone {

RelayControl::RelayControl() = default;
RelayControl::~RelayControl() = default;

void RelayControl::Cancel(Error reason) {
  if (cancel_) cancel_(std::move(reason));
}

struct RelayAccess {
  static void Set(RelayControl& control, std::function<void(Error)> cancel) {
    control.cancel_ = std::move(cancel);
  }
};

namespace {

template <typename Relay>
boost::asio::awaitable<RelayResult> Run(std::shared_ptr<Relay> relay, RelayControl& control) {
  RelayAccess::Set(control, [weak = std::weak_ptr<Relay>(relay)](Error reason) {
    if (auto running = weak.lock()) running->Abort(std::move(reason));
  });
  relay->Start();
  co_await relay->done().Wait();
  RelayAccess::Set(control, nullptr);
  // Only a cancelled wait comes back early; a relay that has ended ignores this.
  relay->Abort(Error(ErrorCode::kCancelled, "the relay was cancelled"));
  co_return relay->TakeResult();
}

}  // namespace

boost::asio::awaitable<RelayResult> RelayStream(Worker& worker, StreamPtr stream, UniqueFd app,
                                                RelayOptions options, RelayControl& control) {
  return Run(
      std::make_shared<StreamRelay>(worker, std::move(stream), std::move(app), std::move(options)),
      control);
}

boost::asio::awaitable<RelayResult> RelayPlain(Worker& worker, UniqueFd client, UniqueFd upstream,
                                               RelayOptions options, RelayControl& control) {
  return Run(std::make_shared<PlainRelay>(worker, std::move(client), std::move(upstream),
                                          std::move(options)),
             control);
}

}  // namespace ambit::hbone
