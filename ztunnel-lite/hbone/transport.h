#pragma once

#include <sys/uio.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <span>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "ztunnel-lite/hbone/tunnel.h"

// Purpose  what a tunnel's records travel on: a TCP socket, or a stream of another tunnel.
// Threads  the tunnel's worker.
namespace ambit::hbone {

// Whom a transport tells that it is ready; always from the loop, with nothing else on the stack.
class TransportUser {
 public:
  virtual ~TransportUser() = default;
  virtual void OnReadable() = 0;
  virtual void OnWritable() = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Bytes moved; nullopt: wait; of Receive 0: the end.
  virtual Result<std::optional<size_t>> Receive(std::span<std::byte> buffer) = 0;
  virtual Result<std::optional<size_t>> Send(std::span<const iovec> chunks) = 0;
  // Keep `user` until it was told. At most one wait of each kind; a second one is ignored.
  virtual void WhenReadable(std::shared_ptr<TransportUser> user) = 0;
  virtual void WhenWritable(std::shared_ptr<TransportUser> user) = 0;
  // Whether Send leaves the worker's scratch alone, so that it may be called from anywhere while
  // the tunnel lives.
  virtual bool sends_anywhere() const = 0;
  // No waits and nothing to send any more.
  virtual void Close() = 0;
  // After Close: until the other side has closed too, at most `limit`. A socket does not wait, the
  // kernel does.
  virtual boost::asio::awaitable<void> WaitClosed(std::chrono::milliseconds limit) = 0;
};

std::unique_ptr<Transport> MakeSocketTransport(Worker& worker, UniqueFd socket);

// What the stream delivers waits in the stream itself, whose window bounds it; nothing is read from
// it or written to it from inside a call of its own tunnel.
std::unique_ptr<Transport> MakeStreamTransport(Worker& worker, StreamPtr stream);

}  // namespace ambit::hbone
