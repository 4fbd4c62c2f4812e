#include "ztunnel-lite/xds/backoff.h"

#include <algorithm>

namespace ambit::xds {

std::chrono::milliseconds Backoff::Next() {
  std::uniform_real_distribution<double> around(1 - options_.jitter, 1 + options_.jitter);
  auto delay = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double, std::milli>(static_cast<double>(next_.count()) *
                                                around(random_)));
  next_ = std::min(next_ * 2, options_.cap);
  return std::min(delay, options_.cap);
}

}  // namespace ambit::xds
