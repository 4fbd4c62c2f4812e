#pragma once

#include <string>

#include "control-plane/ca/root.h"
#include "control-plane/callers/authenticator.h"
#include "control-plane/index/node_accounts.h"
#include "lib/observe/log.h"
#include "proto/certificate.grpc.pb.h"

// Purpose  the certificate service. Wire  docs of proto/certificate.proto.
// Threads  gRPC's own; a call is answered on the thread that brings it, which takes less than a
//          millisecond. Logging: one line per certificate (debug) and per refusal (warn).
namespace ambit::ca {

class CertificateService : public istio::v1::auth::IstioCertificateService::CallbackService {
 public:
  struct Parts {
    const Root& root;
    const callers::Authenticator& authenticator;
    const index::NodeAccounts& accounts;
    observe::Log& log;
  };
  // All parts outlive the service.
  CertificateService(std::string trust_domain, Parts parts)
      : trust_domain_(std::move(trust_domain)), parts_(parts) {}

  grpc::ServerUnaryReactor* CreateCertificate(
      grpc::CallbackServerContext* context, const istio::v1::auth::IstioCertificateRequest* request,
      istio::v1::auth::IstioCertificateResponse* response) override;

 private:
  Result<std::string> Sign(const callers::Caller& caller,
                           const istio::v1::auth::IstioCertificateRequest& request) const;
  grpc::Status Answer(const grpc::ServerContextBase& context,
                      const istio::v1::auth::IstioCertificateRequest& request,
                      istio::v1::auth::IstioCertificateResponse& response) const;

  const std::string trust_domain_;
  const Parts parts_;
};

}  // namespace ambit::ca
