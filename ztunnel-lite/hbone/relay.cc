#include <utility>

#include "ztunnel-lite/hbone/plain_relay.h"
#include "ztunnel-lite/hbone/stream_relay.h"
#include "ztunnel-lite/hbone/tunnel.h"

namespace ambit::hbone {

RelayControl::RelayControl() = default;
RelayControl::~RelayControl() = default;

void RelayControl::Cancel(Error reason) {
  if (auto relay = relay_.lock()) relay->Abort(std::move(reason));
}

void RelayControl::ExpectHandOn(bool expected) {
  if (auto relay = relay_.lock()) relay->ExpectHandOn(expected);
}

void RelayControl::HandOn() {
  if (auto relay = relay_.lock()) relay->HandOn();
}

struct RelayAccess {
  static void Set(RelayControl& control, std::weak_ptr<RunningRelay> relay) {
    control.relay_ = std::move(relay);
  }
};

namespace {

template <typename Relay>
boost::asio::awaitable<RelayResult> Run(std::shared_ptr<Relay> relay, RelayControl& control) {
  RelayAccess::Set(control, relay);
  relay->Start();
  co_await relay->done().Wait();
  RelayAccess::Set(control, {});
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
