#pragma once

#include <boost/asio/awaitable.hpp>

#include "lib/base/error.h"
#include "ztunnel-lite/tls/credential.h"

namespace ambit::identity {

// Where connections get the certificate of a pod's identity.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;

  // The cached credential at once where there is one, without a thread switch; otherwise the first
  // caller starts the CSR and all wait for its outcome. Resumes on the caller's executor.
  // Errors  kUnavailable: the CA's last answer was an error (its text is in the message);
  //         kTimedOut: no answer in 10 s; kCancelled: the identity was forgotten.
  // Thread  any worker.
  virtual boost::asio::awaitable<Result<tls::CredentialPtr>> Get(state::Identity identity) = 0;
};

}  // namespace ambit::identity
