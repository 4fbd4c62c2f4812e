#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "lib/base/error.h"
#include "lib/observe/log.h"
#include "lib/observe/metrics.h"
#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  keeps the mesh state equal to what the control plane says, over delta discovery.
// Threads  one of its own that speaks gRPC and decodes; the state is changed on the control thread,
//          and an answer is acknowledged after that.
// Errors   a lost or refused connection is retried from 20 ms up to every 15 s, for ever; what is
//          known stays in use meanwhile.
// Logging  scope xds: connects, refusals with their reason, rejected resources.
// Metrics  istio_xds_connection_terminations_total, istio_xds_message_total,
//          istio_xds_message_bytes_total.
namespace ambit::xds {

class Client {
 public:
  // All outlive the client.
  struct Context {
    const config::Config& config;
    state::MeshState& mesh;
    boost::asio::io_context& control;
    observe::Log& log;
    prometheus::Registry& metrics;
  };

  // `on_synced` runs once on the control thread, when addresses and policies are all there.
  // Errors  kInvalidArgument: the node's metadata.
  static Result<std::unique_ptr<Client>> Start(Context context, std::function<void()> on_synced);
  // Cancels the stream and waits for the thread, which may not need the control thread any more.
  ~Client();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ambit::xds
