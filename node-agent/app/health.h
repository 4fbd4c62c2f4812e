#pragma once

#include <prometheus/registry.h>

#include <boost/asio/awaitable.hpp>

#include "lib/http1/message.h"
#include "lib/observe/readiness.h"

namespace ambit::agent {

// /healthz, /readyz and /metrics. References outlive it, and it outlives its requests.
class HealthPages {
 public:
  HealthPages(const observe::Readiness& readiness, const prometheus::Registry& registry)
      : readiness_(readiness), registry_(registry) {}

  // /healthz is 200 as long as the loop turns; /readyz names what is pending with 503.
  boost::asio::awaitable<http1::Response> Health(http1::Request request) const;
  boost::asio::awaitable<http1::Response> Metrics(http1::Request request) const;

 private:
  const observe::Readiness& readiness_;
  const prometheus::Registry& registry_;
};

}  // namespace ambit::agent
