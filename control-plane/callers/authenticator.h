#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <string>

#include "control-plane/callers/token_file.h"
#include "lib/base/error.h"

// Purpose  who makes a gRPC call, and how our errors look to it.
namespace ambit::callers {

struct Caller {
  std::string node;
  std::string how;      // "client certificate" or "token"
  std::string address;  // gRPC's form, for log lines
};

class Authenticator {
 public:
  // The tokens outlive the authenticator.
  Authenticator(std::string trust_domain, TokenFile& tokens)
      : trust_domain_(std::move(trust_domain)), tokens_(tokens) {}

  // A client certificate of our root that names a node (NodeUri), else a bearer token. A workload's
  // certificate is of our root too, but does not make its holder a node.
  // Errors  kPermissionDenied: neither; the sentence says what was there instead.
  // Thread  any.
  Result<Caller> Identify(const grpc::ServerContextBase& context) const;

 private:
  const std::string trust_domain_;
  TokenFile& tokens_;
};

// kInvalidArgument, kPermissionDenied, kNotFound and kResourceExhausted have a status of their own;
// the rest is our fault and says only that.
grpc::Status ToStatus(const Error& error);
grpc::Status Unauthenticated(const Error& error);

}  // namespace ambit::callers
