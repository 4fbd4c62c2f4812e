#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "lib/base/bytes.h"
#include "lib/base/unique_fd.h"
#include "ztunnel-lite/dns/origin.h"

namespace ambit::dns {

// One client's TCP connection: questions may follow each other without waiting, answers come in the
// order in which they are ready. Source  RFC 7766.
// Thread  one worker.
// Life    its coroutines and the questions under way keep it.
class TcpSession : public boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
                   public std::enable_shared_from_this<TcpSession> {
 public:
  struct Options {
    std::chrono::milliseconds idle{5000};  // without a byte either way and without a question
    size_t max_pipelined = 32;             // questions under way; more wait unread
  };
  struct Events {
    std::function<void(ByteSpan message, std::unique_ptr<Origin> origin)> take;
    std::function<void(boost::asio::awaitable<void>)> spawn;
  };
  TcpSession(boost::asio::io_context& io, Options options, const Events& events);

  // Errors  kIo: the poller does not take the socket.
  Result<void> Open(UniqueFd accepted);
  boost::asio::awaitable<void> Run();
  // No more questions; closes when the last answer has left.
  void Finish();
  void Close();

 private:
  class TcpOrigin;
  static constexpr size_t kMaxUnsentBytes = 256 << 10;

  bool MayTake() const { return under_way_ < options_.max_pipelined && unsent() < kMaxUnsentBytes; }
  size_t unsent() const { return output_.size() - sent_; }
  // False at the end of the stream.
  bool Receive();
  void TakeFrames();
  boost::asio::awaitable<void> WaitForRoom();
  void QuestionEnded();
  bool Reply(const Bytes& message);
  void Flush();
  boost::asio::awaitable<void> SendRest();
  void WatchIdle();
  void Touch() { last_activity_ = std::chrono::steady_clock::now(); }
  void CloseIfDone();

  const Options options_;
  const Events& events_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer idle_;
  boost::asio::steady_timer room_;
  std::chrono::steady_clock::time_point last_activity_;
  Bytes input_;
  Bytes output_;
  size_t sent_ = 0;       // of output_
  size_t under_way_ = 0;  // questions
  bool reading_ = true;
  bool sending_rest_ = false;
  bool corked_ = false;  // answers gather until all frames at hand are taken
};

}  // namespace ambit::dns
