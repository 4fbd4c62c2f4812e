#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proto/discovery.grpc.pb.h"

// Purpose  a discovery server in the test's own process: it records requests and sends what the
// test
//          says. Every wait is bounded.
namespace ambit::xds {

class TestServer {
 public:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  // On a free port of 127.0.0.1; empty PEMs serve plaintext.
  TestServer(const std::string& key_pem, const std::string& chain_pem);
  ~TestServer();

  std::string address() const;
  // The next request of any stream; nullopt after ten seconds.
  std::optional<Request> NextRequest();
  void Send(Response response);
  // Ends the stream under way.
  void Drop();
  // The `authorization` header of the newest stream.
  std::string authorization() const;

 private:
  class Service;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool tls_ = false;
};

}  // namespace ambit::xds
