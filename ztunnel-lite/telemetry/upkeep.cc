#include "ztunnel-lite/telemetry/upkeep.h"

#include <utility>

namespace ambit::telemetry {

Upkeep::Upkeep(boost::asio::io_context& io, std::chrono::milliseconds interval,
               std::function<void()> work)
    : timer_(io), interval_(interval), work_(std::move(work)) {
  if (interval_.count() > 0) Wait();
}

void Upkeep::Wait() {
  timer_.expires_after(interval_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    work_();
    Wait();
  });
}

}  // namespace ambit::telemetry
