#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/proxy/interrupt.h"

// Purpose  TCP connections that leave from inside a pod's network namespace, past its redirection.
// Threads  one worker.
namespace ambit::proxy {

class Dialer {
 public:
  // All descriptors are borrowed and outlive the object; `own_netns` is the worker's namespace.
  Dialer(boost::asio::io_context& io, const config::Config& config, int own_netns, int pod_netns)
      : io_(io), config_(config), own_netns_(own_netns), pod_netns_(pod_netns) {}

  struct Target {
    net::Endpoint to;
    // The client's address to connect from; best effort, and not where it equals the destination.
    std::optional<net::IpAddress> source;
  };

  // Errors  kTimedOut after config.connect_timeout, kCancelled, kUnavailable, kIo,
  //         kResourceExhausted; the text names the endpoint.
  boost::asio::awaitable<Result<UniqueFd>> Connect(Target target, Interrupt& interrupt);

 private:
  // A marked TCP socket inside the pod.
  Result<UniqueFd> MakeSocket(net::Family family) const;
  Result<void> ApplyOptions(int socket) const;

  boost::asio::io_context& io_;
  const config::Config& config_;
  int own_netns_;
  int pod_netns_;
};

}  // namespace ambit::proxy
