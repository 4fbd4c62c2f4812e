#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "lib/base/unique_fd.h"
#include "ztunnel-lite/dns/listeners.h"
#include "ztunnel-lite/dns/origin.h"
#include "ztunnel-lite/dns/original_destination.h"

namespace ambit::dns {

// One UDP socket on which questions arrive and from which answers leave.
// Thread  one worker.
class UdpListener {
 public:
  struct Options {
    int pod_netns = -1;  // borrowed
    ListenOptions listen{};
  };
  using Take = std::function<void(ByteSpan message, std::unique_ptr<Origin> origin)>;
  // `take` gets each datagram; the bytes are valid until it returns.
  UdpListener(boost::asio::io_context& io, Options options, Take take);

  // Errors  kIo: the poller does not take the socket.
  Result<void> Open(UniqueFd socket);
  // Until it is closed; the object outlives it.
  boost::asio::awaitable<void> Run();
  // Takes what the kernel has queued and closes the socket, so that a successor on the same port
  // gets all that comes. Answers still go out.
  void CloseAfterLastSweep();
  // No answers either.
  void Close();

 private:
  class UdpOrigin;
  static constexpr int kDatagramsPerTurn = 64;
  static constexpr int kDatagramsAtEnd = 1024;

  void Sweep(int fd, int limit);
  bool Send(const net::Endpoint& client, const Bytes& message);
  bool SendFromNewSocket(const net::SocketAddress& client, const Bytes& message);
  Result<net::Endpoint> Asked(const net::Endpoint& client);

  const Options options_;
  const Take take_;
  net::Endpoint local_;
  boost::asio::posix::stream_descriptor socket_;
  std::optional<FlowTable> flows_;  // opened when first needed
  UniqueFd late_;                   // while an answer leaves after the end of `socket_`
  bool silent_ = false;
};

}  // namespace ambit::dns
