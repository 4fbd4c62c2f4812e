#include "ztunnel-lite/hbone/block_pool.h"

#include <algorithm>
#include <cstring>

namespace ambit::hbone {

BlockPool::Block BlockPool::Take() {
  // new without (): the bytes are written before they are read, zeroing would touch every page.
  if (free_.empty()) return Block(new std::byte[kBlockBytes]);
  Block block = std::move(free_.back());
  free_.pop_back();
  return block;
}

void BlockPool::Give(Block block) {
  if (free_.size() < kKeptBlocks) free_.push_back(std::move(block));
}

void ByteQueue::Append(ByteSpan bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (pieces_.empty() || pieces_.back().end == BlockPool::kBlockBytes) {
      pieces_.push_back({pool_.Take()});
    }
    Piece& last = pieces_.back();
    const size_t part = std::min(bytes.size(), BlockPool::kBlockBytes - last.end);
    std::memcpy(last.block.get() + last.end, bytes.data(), part);
    last.end += static_cast<uint32_t>(part);
    bytes = bytes.subspan(part);
  }
}

size_t ByteQueue::Peek(std::span<iovec> out) const {
  const size_t count = std::min(out.size(), pieces_.size());
  for (size_t i = 0; i < count; ++i) {
    out[i] = {pieces_[i].block.get() + pieces_[i].begin, pieces_[i].end - pieces_[i].begin};
  }
  return count;
}

void ByteQueue::Consume(size_t bytes) {
  size_ -= bytes;
  size_t done = 0;
  while (bytes > 0) {
    Piece& piece = pieces_[done];
    const size_t part = std::min<size_t>(bytes, piece.end - piece.begin);
    piece.begin += static_cast<uint32_t>(part);
    bytes -= part;
    if (piece.begin != piece.end) break;
    pool_.Give(std::move(piece.block));
    ++done;
  }
  pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(done));
  // An idle queue keeps not even the list.
  if (pieces_.empty()) pieces_.shrink_to_fit();
}

void ByteQueue::Clear() {
  for (Piece& piece : pieces_) pool_.Give(std::move(piece.block));
  pieces_.clear();
  size_ = 0;
}

}  // namespace ambit::hbone
