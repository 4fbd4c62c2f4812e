#pragma once

#include <string>

#include "lib/base/error.h"
#include "ztunnel-lite/state/resources.h"

namespace ambit::identity {

struct SigningRequest {
  std::string key_pem;  // PKCS#8, P-256, fresh
  std::string csr_pem;
};

// A key and a signing request whose only content is one critical URI SAN, the identity.
// Errors  kResourceExhausted: the library could not make one.
// Source  RFC 2986; SPIFFE X.509-SVID section 2.
Result<SigningRequest> MakeSigningRequest(const state::Identity& identity);

}  // namespace ambit::identity
