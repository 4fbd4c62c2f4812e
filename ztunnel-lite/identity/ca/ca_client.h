#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "ztunnel-lite/config/config.h"
#include "ztunnel-lite/identity/signer.h"

// Purpose  asks the CA for certificates in the name of pods (CreateCertificate over gRPC).
// Threads  the control thread; one more only collects calls that have ended.
// Errors   kUnavailable: the CA or its roots cannot be reached; kTimedOut: no answer in ten
// seconds;
//          kPermissionDenied: the CA refuses; kProtocol: its answer cannot be used.
namespace ambit::identity {

class CaClient : public Signer {
 public:
  // Both outlive the client.
  CaClient(const config::Config& config, boost::asio::io_context& control);
  // Cancels what is under way and waits for it.
  ~CaClient() override;

  void Sign(const state::Identity& identity, Done done) override;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ambit::identity
