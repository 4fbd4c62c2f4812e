#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/net/address.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  L4 authorization as a pure function: deny before allow, dry-run only reported.
namespace ambit::proxy {

struct RbacConnection {
  net::Endpoint source;
  std::optional<state::Identity> source_identity;  // none in plaintext
  // Trust domains that are the same as the identity's; policies may name any of them.
  std::vector<std::string> trust_domain_aliases{};
  net::Endpoint destination;  // pod address and the app's port
};

struct RbacVerdict {
  bool allowed = true;
  std::string reason;                // why not, naming the policy
  std::vector<std::string> dry_run;  // lines to log, one per dry-run policy that would have acted
};

RbacVerdict Authorize(const std::vector<state::PolicyPtr>& policies,
                      const RbacConnection& connection);

}  // namespace ambit::proxy
