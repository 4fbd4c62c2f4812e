#pragma once

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>

#include "ztunnel-lite/hbone/completion.h"
#include "ztunnel-lite/hbone/pipe_pool.h"
#include "ztunnel-lite/hbone/polled_socket.h"
#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/hbone/worker.h"

namespace ambit::hbone {

// Two TCP sockets joined by splice(2); a direction holds a pipe only while bytes wait in it.
class PlainRelay final : public std::enable_shared_from_this<PlainRelay> {
 public:
  PlainRelay(Worker& worker, UniqueFd client, UniqueFd upstream, RelayOptions options);

  void Start();
  // Both sockets are reset.
  void Abort(Error reason);
  Completion& done() { return done_; }
  RelayResult TakeResult() { return std::move(result_); }

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
  void Report();
  void ArmHalfCloseTimer();
  void Finish(Result<void> outcome);

  Worker& worker_;
  PolledSocket client_;
  PolledSocket upstream_;
  RelayOptions options_;
  Completion done_;
  RelayResult result_;
  Direction up_;
  Direction down_;
  uint64_t reported_from_app_ = 0;
  uint64_t reported_to_app_ = 0;
  std::unique_ptr<boost::asio::steady_timer> half_close_timer_;
  uint64_t moved_at_timer_ = 0;
  bool finished_ = false;
};

}  // namespace ambit::hbone
