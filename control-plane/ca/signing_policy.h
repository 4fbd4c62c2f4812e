#pragma once

#include <string>
#include <vector>

#include "control-plane/index/node_accounts.h"
#include "lib/base/error.h"

namespace ambit::ca {

struct SigningQuestion {
  std::string node;                    // of the caller, authenticated
  std::string impersonated;            // what the request says, may be empty
  std::vector<std::string> uri_names;  // of the certificate request
};

// Which SPIFFE name the caller may have a certificate for: that of a service account with a pod on
// its node, or the node's own. Pure.
// Errors  kInvalidArgument: no name, several, different ones, or no SPIFFE name; kPermissionDenied:
//         another trust domain, or no such pod on the caller's node.
Result<std::string> NameToSign(const SigningQuestion& question, const std::string& trust_domain,
                               const index::NodeAccounts& accounts);

}  // namespace ambit::ca
