#include "ztunnel-lite/hbone/relay_progress.h"

namespace ambit::hbone {

void RelayProgress::Report() {
  if (!options_.on_bytes) return;
  const uint64_t from = result.from_app - reported_from_app_;
  const uint64_t to = result.to_app - reported_to_app_;
  if (from == 0 && to == 0) return;
  reported_from_app_ = result.from_app;
  reported_to_app_ = result.to_app;
  options_.on_bytes(from, to);
}

Error RelayProgress::Silence() const {
  return Error(ErrorCode::kTimedOut, "one direction has ended and the other was silent for " +
                                         std::to_string(options_.half_close_timeout.count()) +
                                         " ms");
}

}  // namespace ambit::hbone
