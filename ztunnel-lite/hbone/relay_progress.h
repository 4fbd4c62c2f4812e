#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <utility>

#include "ztunnel-lite/hbone/tunnel.h"

namespace ambit::hbone {

// What a RelayControl may ask of a relay.
class RunningRelay {
 public:
  virtual ~RunningRelay() = default;
  virtual void Abort(Error reason) = 0;
  virtual void ExpectHandOn(bool) {}
  virtual void HandOn() = 0;
};

// What both kinds of relay keep of a connection: the bytes moved, who is told of them, and how long
// a half-closed connection may be silent.
class RelayProgress {
 public:
  explicit RelayProgress(RelayOptions options) : options_(std::move(options)) {}

  RelayResult result;

  // Tells what was moved since the last call, if anything was.
  void Report();

  // One direction has ended: `relay` is aborted once nothing moved for the whole timeout. It owns
  // this object.
  template <typename Relay>
  void LimitSilence(boost::asio::io_context& io, std::weak_ptr<Relay> relay) {
    if (options_.half_close_timeout.count() == 0) return;
    timer_ = std::make_unique<boost::asio::steady_timer>(io);
    Arm(std::move(relay));
  }
  // The relay has ended: there is no limit any more.
  void Stop() { timer_.reset(); }

 private:
  uint64_t moved() const { return result.from_app + result.to_app; }
  Error Silence() const;

  template <typename Relay>
  void Arm(std::weak_ptr<Relay> relay) {
    moved_at_timer_ = moved();
    timer_->expires_after(options_.half_close_timeout);
    timer_->async_wait([this, relay](const boost::system::error_code& error) {
      auto owner = relay.lock();
      if (error || !owner || !timer_) return;
      if (moved_at_timer_ != moved()) return Arm(relay);
      owner->Abort(Silence());
    });
  }

  RelayOptions options_;
  uint64_t reported_from_app_ = 0;
  uint64_t reported_to_app_ = 0;
  std::unique_ptr<boost::asio::steady_timer> timer_;
  uint64_t moved_at_timer_ = 0;
};

}  // namespace ambit::hbone
