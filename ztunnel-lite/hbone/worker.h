#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <unordered_set>

#include "ztunnel-lite/hbone/block_pool.h"
#include "ztunnel-lite/hbone/pipe_pool.h"

// Purpose  what one worker thread owns and every connection on it borrows.
// Threads  exactly one.
namespace ambit::hbone {

class Connection;

class Worker {
 public:
  // Bytes left free in front of `scratch` payload, for a frame header.
  static constexpr size_t kHeadroomBytes = 64;
  static constexpr size_t kScratchBytes = 256 << 10;

  Worker();

  boost::asio::io_context& io() { return io_; }
  // Two buffers that may be used between two suspensions, never across one: `read_scratch` for what
  // comes from an app or for decrypted bytes, with kHeadroomBytes before it; `cipher_scratch` for
  // records on their way to or from a peer.
  std::span<std::byte> read_scratch() { return {read_.get() + kHeadroomBytes, kScratchBytes}; }
  std::span<std::byte> cipher_scratch() { return {cipher_.get(), kScratchBytes}; }
  // For bytes that must wait for a socket.
  BlockPool& blocks() { return blocks_; }
  PipePool& pipes() { return pipes_; }
  // Those with TLS up whose peers may be revoked later.
  std::unordered_set<Connection*>& revocable() { return revocable_; }

 private:
  std::unique_ptr<std::byte[]> read_;
  std::unique_ptr<std::byte[]> cipher_;
  BlockPool blocks_;
  PipePool pipes_;
  std::unordered_set<Connection*> revocable_;
  // Last, so that it ends first: connections that it still holds give their blocks back.
  boost::asio::io_context io_{1};
};

}  // namespace ambit::hbone
