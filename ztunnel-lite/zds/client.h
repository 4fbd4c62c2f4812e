#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "lib/observe/log.h"
#include "ztunnel-lite/zds/pod_set.h"

// Purpose  the connection to the node agent: says hello, hands each message to the pod set, answers
//          it; comes back when the agent does.
// Threads  control.
// Errors   a message that is broken or out of place costs one negative answer and the connection;
//          a pod that cannot be started costs a negative answer and is tried again every 5 s.
// Logging  scope zds.
namespace ambit::zds {

class Client {
 public:
  struct Options {
    std::string path;
    std::chrono::milliseconds retry_pending{5000};
  };

  // All outlive the client.
  Client(Options options, boost::asio::io_context& control, PodSet& pods, observe::Log& log);
  // Ends the connection; pods that run are left alone.
  ~Client();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ambit::zds
