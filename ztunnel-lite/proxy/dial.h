#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/proxy/interrupt.h"
#include "ztunnel-lite/proxy/route.h"

// Purpose  TCP connections that leave from inside a pod's network namespace, past its redirection.
// Threads  one worker.
namespace ambit::proxy {

class Dialer {
 public:
  // All descriptors are borrowed and outlive the object; `own_netns` is the worker's namespace.
  Dialer(boost::asio::io_context& io, Random& random, const config::Config& config, int own_netns,
         int pod_netns)
      : io_(io), random_(random), config_(config), own_netns_(own_netns), pod_netns_(pod_netns) {}

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
  // Binds to the client's address. Best effort: the app otherwise sees the pod's own address.
  void BindToClient(int socket, const net::IpAddress& client);
  // A socket whose connect is under way or done.
  Result<UniqueFd> Begin(const Target& target);

  boost::asio::io_context& io_;
  Random& random_;
  const config::Config& config_;
  int own_netns_;
  int pod_netns_;
};

}  // namespace ambit::proxy
