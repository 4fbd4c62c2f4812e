#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control-plane/ads/resource_store.h"
#include "lib/base/error.h"
#include "proto/discovery.pb.h"

// Purpose  the delta protocol for one type on one stream: what the client wants, what it has, and
//          so what to send next. No I/O. Threads  one at a time.
// Bounds   one response is unacknowledged at a time and changes meanwhile are only names, so a slow
//          client costs the names that it does not have yet. Beyond `max_names` subscribed names
//          the stream is refused.
// Source   https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
namespace ambit::ads {

class Subscription {
 public:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  // The store outlives the subscription.
  Subscription(const ResourceStore& store, std::string type_url, size_t max_names = 100000)
      : store_(store), type_url_(std::move(type_url)), max_names_(max_names) {}

  // Takes a request of this type. An answer to an older response than the last is only taken for
  // its changes of the subscription.
  // Returns  the client's reason if it rejects the last response, else nullopt.
  // Errors   kResourceExhausted: too many names.
  Result<std::optional<std::string>> OnRequest(const Request& request);
  void OnChanged(const std::vector<std::string>& names);

  // The next response if one is due. The first request is always answered, with an empty response
  // if need be, so that the client knows that it has everything.
  std::optional<Response> Next(const std::string& nonce);

 private:
  void StartWith(const Request& request);
  Result<void> ChangeNames(const Request& request);
  bool Wants(const index::Resource& resource) const;
  void Offer(const index::Resource& resource, Response& response);
  void Remove(const std::string& name, Response& response);
  void FillEverything(Response& response);
  void FillDirty(Response& response);
  void FillAsked(Response& response);

  const ResourceStore& store_;
  const std::string type_url_;
  const size_t max_names_;

  bool started_ = false;
  bool wildcard_ = false;
  std::set<std::string> names_;               // subscribed by name
  std::map<std::string, std::string> known_;  // version that the client has, by name
  std::string unacknowledged_;                // nonce, empty: none
  bool must_answer_ = false;
  bool everything_ = false;
  std::set<std::string> dirty_;
  std::set<std::string> asked_;
};

}  // namespace ambit::ads
