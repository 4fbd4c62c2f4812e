#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/unique_fd.h"
#include "node-agent/zds/roster.h"

namespace ambit::zds {

struct Deadlines {
  std::chrono::milliseconds hello{5000};
  std::chrono::milliseconds message{5000};  // to send one message and read its acknowledgement
};

// One connected tunnel: waits for its hello, then carries the roster's messages to it, one at a
// time. Whatever breaks the protocol or a deadline ends this connection and nothing else, so that a
// late answer can never be taken for the next one's.
// Thread  the io_context's.
class Session : public std::enable_shared_from_this<Session> {
 public:
  struct Hooks {
    // The roster may have changed through this session: other tunnels and waiters may be due.
    std::function<void()> on_progress;
    // Once, when the connection has ended by itself; not after Close().
    std::function<void(Session&, const std::string& reason)> on_end;
  };

  Session(boost::asio::io_context& io, UniqueFd socket, Roster& roster, Deadlines deadlines,
          Hooks hooks);
  void Start();
  // Sends the next message if there is one and none is in flight.
  void Pump();
  void Close();
  std::string Name() const { return name_; }
  void SetName(std::string name) { name_ = std::move(name); }

 private:
  enum class Phase { kHello, kIdle, kSending, kWaitingForAck, kEnded };

  void WaitReadable();
  void OnReadable();
  void TakeHello(ByteSpan bytes);
  void TakeAnswer(ByteSpan bytes);
  void TrySend();
  void Arm(std::chrono::milliseconds timeout, const char* what);
  void End(const std::string& reason);

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer deadline_;
  Roster& roster_;
  Deadlines deadlines_;
  Hooks hooks_;
  Phase phase_ = Phase::kHello;
  Roster::ConnectionId id_ = 0;
  Bytes outgoing_;
  std::shared_ptr<const UniqueFd> outgoing_fd_;
  std::string name_;
};

}  // namespace ambit::zds
