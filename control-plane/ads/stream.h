#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control-plane/ads/service.h"
#include "control-plane/ads/subscription.h"

namespace ambit::ads {

// One client's stream. It owns itself from Open until gRPC is done with it.
class Stream : public grpc::ServerBidiReactor<Subscription::Request, Subscription::Response>,
               public std::enable_shared_from_this<Stream> {
 public:
  static Stream* Open(const DiscoveryService::Parts& parts, callers::Caller caller);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;
  void OnCancel() override {}

 private:
  // Joins a store to the stream's subscription of its type.
  struct Follower : StoreObserver {
    void OnChanged(const std::vector<std::string>& names) override {
      stream->OnChanged(*subscription, names);
    }
    std::shared_ptr<Stream> stream;
    Subscription* subscription = nullptr;
  };

  Stream(const DiscoveryService::Parts& parts, callers::Caller caller)
      : parts_(parts), caller_(std::move(caller)) {}

  ResourceStore* StoreOf(const std::string& type_url);
  void OnChanged(Subscription& subscription, const std::vector<std::string>& names);
  Result<void> Take(const Subscription::Request& request);
  Subscription* SubscriptionOf(const std::string& type_url);
  void SendNext();
  void End(const grpc::Status& status);

  const DiscoveryService::Parts parts_;
  const callers::Caller caller_;
  std::mutex mutex_;
  std::shared_ptr<Stream> self_;
  Subscription::Request request_;
  Subscription::Response response_;  // being written
  std::map<std::string, std::unique_ptr<Subscription>> subscriptions_;
  std::vector<std::shared_ptr<Follower>> followers_;
  uint64_t last_nonce_ = 0;
  bool writing_ = false;
  bool ended_ = false;
};

}  // namespace ambit::ads
