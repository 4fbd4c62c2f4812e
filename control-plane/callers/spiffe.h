#pragma once

#include <string>
#include <string_view>

#include "lib/base/error.h"

// Purpose  the two kinds of SPIFFE names that this control plane knows. Pure.
namespace ambit::callers {

struct WorkloadName {
  std::string trust_domain;
  std::string namespace_name;
  std::string service_account;
};

// "spiffe://<trust domain>/ns/<namespace>/sa/<service account>".
// Errors  kInvalidArgument: any other form, or a part with other characters than names have.
Result<WorkloadName> ParseWorkloadName(std::string_view uri);

// "spiffe://<trust domain>/node/<node>": who holds such a certificate speaks for that node.
std::string NodeUri(std::string_view trust_domain, std::string_view node);
// The node of such a name. Errors  kInvalidArgument: another form or trust domain.
Result<std::string> NodeOfUri(std::string_view trust_domain, std::string_view uri);

}  // namespace ambit::callers
