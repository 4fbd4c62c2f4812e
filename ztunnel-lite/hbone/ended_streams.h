#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace ambit::hbone {

// Which streams of a client must not be used any more, as far as a server can know without
// remembering all: those that the client itself ended lately, and those that it skipped. Streams
// that the server reset are not among them, because the client's bytes may have been on the way.
// Source  RFC 9113 section 5.1 ("closed"), 5.1.1.
class EndedStreams {
 public:
  // The client opened a stream; ids only grow.
  void Opened(int32_t id) {
    if (id > last_ + 2) {
      skipped_from_ = last_ + 2;
      skipped_to_ = id - 2;
    }
    last_ = id;
  }
  // END_STREAM or RST_STREAM came.
  void EndedByClient(int32_t id) {
    ended_[next_] = id;
    next_ = (next_ + 1) % ended_.size();
  }
  bool WasEndedByClient(int32_t id) const { return std::ranges::find(ended_, id) != ended_.end(); }
  bool WasSkipped(int32_t id) const { return id >= skipped_from_ && id <= skipped_to_; }

 private:
  int32_t last_ = -1;
  int32_t skipped_from_ = 0;
  int32_t skipped_to_ = -1;
  size_t next_ = 0;
  std::array<int32_t, 32> ended_{};
};

}  // namespace ambit::hbone
