#pragma once

#include <memory>

#include "control-plane/ads/resource_store.h"
#include "control-plane/callers/authenticator.h"
#include "lib/observe/log.h"
#include "proto/discovery.grpc.pb.h"

// Purpose  delta ADS for istio.workload.Address and istio.security.Authorization.
// Threads  gRPC's own, and whoever applies changes to a store; a stream serialises both by a lock
//          of its own. No thread waits for a client.
// Logging  a stream's begin and end (info), refused callers, rejected responses and unknown types
//          (warn).
namespace ambit::ads {

struct Stores {
  ResourceStore addresses;
  ResourceStore authorizations;
};

class DiscoveryService
    : public envoy::service::discovery::v3::AggregatedDiscoveryService::CallbackService {
 public:
  struct Parts {
    Stores& stores;
    const callers::Authenticator& authenticator;
    observe::Log& log;
  };
  // All parts outlive the service.
  explicit DiscoveryService(Parts parts) : parts_(parts) {}

  grpc::ServerBidiReactor<envoy::service::discovery::v3::DeltaDiscoveryRequest,
                          envoy::service::discovery::v3::DeltaDiscoveryResponse>*
  DeltaAggregatedResources(grpc::CallbackServerContext* context) override;

 private:
  const Parts parts_;
};

}  // namespace ambit::ads
