#include "control-plane/ads/service.h"

#include "control-plane/ads/stream.h"

namespace ambit::ads {
namespace {

// Answers a refused call; gRPC wants a reactor for it too.
class Refusal : public grpc::ServerBidiReactor<Subscription::Request, Subscription::Response> {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<Subscription::Request, Subscription::Response>*
DiscoveryService::DeltaAggregatedResources(grpc::CallbackServerContext* context) {
  auto caller = parts_.authenticator.Identify(*context);
  if (!caller) {
    parts_.log.Warn("ads", "stream refused: " + caller.error().message(),
                    {{"peer", context->peer()}});
    return new Refusal(callers::Unauthenticated(caller.error()));
  }
  return Stream::Open(parts_, *std::move(caller));
}

}  // namespace ambit::ads
