#pragma once

#include "lib/base/error.h"
#include "proto/discovery.pb.h"
#include "ztunnel-lite/config/config.h"

namespace ambit::xds {

// Who we are, as the control plane wants to know it: id and metadata.
// Errors  kInvalidArgument: an ISTIO_METAJSON_* variable is not JSON.
Result<envoy::service::discovery::v3::Node> MakeNode(const config::Config& config);

}  // namespace ambit::xds
