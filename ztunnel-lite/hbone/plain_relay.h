#pragma once

#include <array>
#include <memory>
#include <optional>

#include "ztunnel-lite/hbone/completion.h"
#include "ztunnel-lite/hbone/pipe_pool.h"
#include "ztunnel-lite/hbone/polled_socket.h"
#include "ztunnel-lite/hbone/relay_progress.h"
#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/hbone/worker.h"

namespace ambit::hbone {

// Two TCP sockets joined by splice(2); a direction holds a pipe only while bytes wait in it.
class PlainRelay final : public RunningRelay, public std::enable_shared_from_this<PlainRelay> {
 public:
  PlainRelay(Worker& worker, UniqueFd client, UniqueFd upstream, RelayOptions options);

  void Start();
  // Both sockets are reset.
  void Abort(Error reason) override;
  void HandOn() override;
  Completion& done() { return done_; }
  RelayResult TakeResult() { return std::move(progress_.result); }

 private:
  struct Direction {
    PolledSocket& from;
    PolledSocket& to;
    uint64_t& moved;
    std::optional<Pipe> pipe;
    size_t in_pipe = 0;
    bool done = false;
  };

  void Pump(Direction& direction);
  // Both return false when the direction has to wait, has ended or has failed.
  bool Fill(Direction& direction);
  bool Drain(Direction& direction);
  void End(Direction& direction);
  void HandOnIfEmpty();
  void Finish(Result<void> outcome);

  Worker& worker_;
  PolledSocket client_;
  PolledSocket upstream_;
  RelayProgress progress_;
  Completion done_;
  Direction up_;
  Direction down_;
  bool handing_on_ = false;
  bool finished_ = false;
};

}  // namespace ambit::hbone
