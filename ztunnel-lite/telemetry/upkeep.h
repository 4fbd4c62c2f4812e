#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

namespace ambit::telemetry {

// Does `work` every `interval` until it is destroyed; zero: never. Thread  the io_context's.
class Upkeep {
 public:
  Upkeep(boost::asio::io_context& io, std::chrono::milliseconds interval,
         std::function<void()> work);

 private:
  void Wait();

  boost::asio::steady_timer timer_;
  const std::chrono::milliseconds interval_;
  const std::function<void()> work_;
};

}  // namespace ambit::telemetry
