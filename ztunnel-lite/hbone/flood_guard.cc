#include "ztunnel-lite/hbone/flood_guard.h"

#include <algorithm>

namespace ambit::hbone {

bool FloodGuard::Allow(Time now) {
  if (last_ != Time{}) {
    const double seconds = std::chrono::duration<double>(now - last_).count();
    tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
  }
  last_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

}  // namespace ambit::hbone
