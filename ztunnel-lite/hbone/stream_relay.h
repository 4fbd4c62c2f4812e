#pragma once

#include <memory>

#include "ztunnel-lite/hbone/completion.h"
#include "ztunnel-lite/hbone/polled_socket.h"
#include "ztunnel-lite/hbone/relay_progress.h"
#include "ztunnel-lite/hbone/stream.h"
#include "ztunnel-lite/hbone/worker.h"

namespace ambit::hbone {

// One relay between a stream and an app's socket, driven by readiness: while nothing moves it holds
// no buffer and no coroutine of its own.
class StreamRelay final : public StreamListener,
                          public RunningRelay,
                          public std::enable_shared_from_this<StreamRelay> {
 public:
  StreamRelay(Worker& worker, StreamPtr stream, UniqueFd app, RelayOptions options);
  ~StreamRelay() override;

  void Start();
  // App and stream are reset.
  void Abort(Error reason) override;
  void ExpectHandOn(bool expected) override;
  void HandOn() override;
  Completion& done() { return done_; }
  RelayResult TakeResult() { return std::move(progress_.result); }

 private:
  size_t OnData(std::span<const iovec> chunks) override;
  void OnEnd() override;
  void OnEndSent() override;
  void OnWritable() override { PumpFromApp(); }
  void OnStopped() override;
  void OnReset(const Error& error) override;

  void PumpFromApp();
  // What recv said; true: read on.
  bool TakeFromApp(std::span<std::byte> buffer, ssize_t size);
  void WatchApp();
  void AppBroke(int error);
  void HalfClosed();
  void FinishIfDone();
  void Finish(Result<void> outcome);

  Worker& worker_;
  StreamPtr stream_;
  PolledSocket app_;
  RelayProgress progress_;
  Completion done_;
  bool app_ended_ = false;     // FIN from the app
  bool from_done_ = false;     // and END_STREAM is on its way
  bool to_done_ = false;       // END_STREAM from the peer, FIN to the app
  bool stopped_ = false;       // the peer has refused what the app still had to say
  bool expecting_ = false;     // the peer's END_STREAM may be its handing on
  bool fin_withheld_ = false;  // it has come meanwhile
  bool handing_on_ = false;
  bool finished_ = false;
};

}  // namespace ambit::hbone
