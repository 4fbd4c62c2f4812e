#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/bytes.h"

namespace ambit::hbone {

// Memory of one size, kept for reuse up to a bound.
class BlockPool {
 public:
  static constexpr size_t kBlockBytes = 64 << 10;
  static constexpr size_t kKeptBlocks = 64;
  using Block = std::unique_ptr<std::byte[]>;

  Block Take();
  void Give(Block block);

 private:
  std::vector<Block> free_;
};

// Bytes that wait for a socket, first in first out. Empty, it holds no block.
class ByteQueue {
 public:
  static constexpr size_t kMaxIovecs = 64;

  explicit ByteQueue(BlockPool& pool) : pool_(pool) {}
  ~ByteQueue() { Clear(); }
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  void Append(ByteSpan bytes);
  // The oldest bytes, as many as fit; returns how many entries were filled.
  size_t Peek(std::span<iovec> out) const;
  // Drops the oldest `bytes`.
  void Consume(size_t bytes);
  void Clear();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  struct Piece {
    BlockPool::Block block;
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  BlockPool& pool_;
  std::vector<Piece> pieces_;
  size_t size_ = 0;
};

}  // namespace ambit::hbone
