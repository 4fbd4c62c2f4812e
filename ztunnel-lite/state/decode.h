#pragma once

#include <string>
#include <variant>

#include "lib/base/error.h"
#include "ztunnel-lite/state/resources.h"

namespace istio::workload {
class Address;
class Service;
class Workload;
}  // namespace istio::workload
namespace istio::security {
class Authorization;
}  // namespace istio::security

// Purpose  what the control plane sent, checked and turned into values.
// Errors   kInvalidArgument with the field and its value, in words for the NACK. A resource is
// taken
//          as a whole or not at all: a matcher that cannot be understood rejects its policy,
//          because leaving it out would widen the policy.
namespace ambit::state {

Result<std::variant<Workload, Service>> DecodeAddress(const istio::workload::Address& message);
Result<Workload> DecodeWorkload(const istio::workload::Workload& message);
Result<Service> DecodeService(const istio::workload::Service& message);
Result<Policy> DecodePolicy(const std::string& resource_name,
                            const istio::security::Authorization& message);

}  // namespace ambit::state
