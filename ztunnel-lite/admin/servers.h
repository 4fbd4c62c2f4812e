#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "lib/http1/server.h"
#include "ztunnel-lite/admin/pages.h"

namespace ambit::admin {

// The three HTTP ports: admin on loopback only, metrics and readiness on every address.
// Thread  control.
class Servers {
 public:
  // All outlive the servers.
  struct Context {
    const config::Config& config;
    boost::asio::io_context& control;
    const observe::Readiness& readiness;
    prometheus::Registry& metrics;
    AdminContext admin;
  };

  // Errors  a port that is taken, with its address in the text.
  static Result<std::unique_ptr<Servers>> Start(Context context);
  // As they were chosen, for ports that were 0.
  net::Endpoint admin_endpoint() const { return servers_[0]->local_endpoint(); }
  net::Endpoint metrics_endpoint() const { return servers_[1]->local_endpoint(); }
  net::Endpoint readiness_endpoint() const { return servers_[2]->local_endpoint(); }
  // Requests that run are answered; new ones are refused.
  void Stop();

 private:
  explicit Servers(Context context) : context_(std::move(context)) {}
  Result<void> Listen(const net::Endpoint& endpoint, http1::Handler handler);
  Result<void> ListenAll();
  void UpdateProcessMetrics();

  const Context context_;
  std::vector<std::unique_ptr<http1::Server>> servers_;
};

}  // namespace ambit::admin
