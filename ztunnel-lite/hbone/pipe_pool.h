#pragma once

#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

namespace ambit::hbone {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// Empty pipes for splice(2), kept for reuse up to a bound.
class PipePool {
 public:
  static constexpr size_t kKeptPipes = 32;
  static constexpr int kPipeBytes = 256 << 10;

  // Errors  kResourceExhausted: no descriptors left.
  Result<Pipe> Take();
  // Only an empty pipe may come back.
  void Give(Pipe pipe);

 private:
  std::vector<Pipe> free_;
};

}  // namespace ambit::hbone
