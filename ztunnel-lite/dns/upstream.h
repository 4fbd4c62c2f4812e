#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "ztunnel-lite/dns/message.h"

// Purpose  questions to the resolver that the pod itself asked, from inside the pod and past its
//          redirection. Each question has a socket of its own, so that its source port is as random
//          as its identifier, and an answer counts only if it comes from the server asked, with
//          that identifier and that question.
// Threads  one worker.
namespace ambit::dns {

class Upstream {
 public:
  struct Options {
    int pod_netns = -1;  // borrowed
    int own_netns = -1;  // borrowed: the worker's, to return to
    uint32_t mark = 0;
    std::chrono::milliseconds deadline{5000};  // from question to answer
    size_t max_outstanding = 512;              // each of them is an open socket
  };
  Upstream(boost::asio::io_context& io, Options options);
  ~Upstream();

  // The answer, with the identifier of the question. Errors  kTimedOut, kCancelled (Stop), kIo,
  // kUnavailable (refused), kResourceExhausted (too many at once), kProtocol.
  boost::asio::awaitable<Result<Bytes>> AskByUdp(Bytes question, net::Endpoint server);
  // By a TCP connection of its own. A transfer of a zone has many answers: `take` gets each, until
  // the server ends or is silent for the deadline; all other questions have one.
  // `take`  returns false when no more are wanted.
  boost::asio::awaitable<Result<void>> AskByTcp(Bytes question, net::Endpoint server,
                                                std::function<bool(Bytes)> take);

  // Ends what runs, now and from now on.
  void Stop();
  size_t outstanding() const { return outstanding_; }

 private:
  class Exchange;
  using Hook =
      boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;

  Result<std::shared_ptr<Exchange>> Begin(int type, const net::Endpoint& server);
  Result<UniqueFd> Connect(int type, const net::Endpoint& server) const;
  Awaitable<Result<Bytes>> AwaitAnswer(std::shared_ptr<Exchange> exchange, const Query& query,
                                       uint16_t id);
  Awaitable<Result<void>> Send(std::shared_ptr<Exchange> exchange, Bytes framed);
  Awaitable<Result<Bytes>> ReceiveFrame(std::shared_ptr<Exchange> exchange);
  Awaitable<Result<void>> ReceiveInto(std::shared_ptr<Exchange> exchange,
                                      std::span<std::byte> buffer);
  uint16_t RandomId();

  boost::asio::io_context& io_;
  const Options options_;
  boost::intrusive::list<Exchange, boost::intrusive::base_hook<Hook>,
                         boost::intrusive::constant_time_size<false>>
      running_;
  size_t outstanding_ = 0;
  bool stopped_ = false;
  std::array<uint16_t, 128> ids_{};  // random numbers, drawn many at a time
  size_t ids_left_ = 0;
};

}  // namespace ambit::dns
