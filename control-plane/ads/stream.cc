#include "control-plane/ads/stream.h"

namespace ambit::ads {
namespace {

constexpr char kScope[] = "ads";

}  // namespace

Stream* Stream::Open(const DiscoveryService::Parts& parts, callers::Caller caller) {
  std::shared_ptr<Stream> stream(new Stream(parts, std::move(caller)));
  stream->self_ = stream;
  parts.log.Info(kScope, "stream opened",
                 {{"node", stream->caller_.node},
                  {"peer", stream->caller_.address},
                  {"known_by", stream->caller_.how}});
  stream->StartRead(&stream->request_);
  return stream.get();
}

ResourceStore* Stream::StoreOf(const std::string& type_url) {
  if (type_url == index::kAddressType) return &parts_.stores.addresses;
  if (type_url == index::kAuthorizationType) return &parts_.stores.authorizations;
  return nullptr;
}

Subscription* Stream::SubscriptionOf(const std::string& type_url) {
  auto found = subscriptions_.find(type_url);
  if (found != subscriptions_.end()) return found->second.get();
  ResourceStore* store = StoreOf(type_url);
  if (store == nullptr) return nullptr;
  auto& subscription = subscriptions_[type_url];
  subscription = std::make_unique<Subscription>(*store, type_url);
  auto follower = std::make_shared<Follower>();
  follower->stream = shared_from_this();
  follower->subscription = subscription.get();
  followers_.push_back(follower);
  // Before the first response looks at the store, so that no change falls between the two.
  store->Observe(follower);
  return subscription.get();
}

Result<void> Stream::Take(const Subscription::Request& request) {
  Subscription* subscription = SubscriptionOf(request.type_url());
  if (subscription == nullptr) {
    parts_.log.Warn(kScope, "a type that this control plane does not serve is left unanswered",
                    {{"type", request.type_url()}, {"node", caller_.node}});
    return {};
  }
  auto rejected = subscription->OnRequest(request);
  if (!rejected) return Fail(rejected.error());
  if (*rejected) {
    parts_.log.Warn(kScope, "the client rejected a response: " + **rejected,
                    {{"type", request.type_url()},
                     {"nonce", request.response_nonce()},
                     {"node", caller_.node}});
  }
  return {};
}

void Stream::OnReadDone(bool ok) {
  std::lock_guard lock(mutex_);
  if (!ok) return End(grpc::Status::OK);
  auto taken = Take(request_);
  if (!taken) {
    parts_.log.Warn(kScope, "stream refused: " + taken.error().message(), {{"node", caller_.node}});
    return End(callers::ToStatus(taken.error()));
  }
  SendNext();
  request_.Clear();
  StartRead(&request_);
}

void Stream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  writing_ = false;
  response_ = Subscription::Response();  // gives the memory back
  if (!ok) return End(grpc::Status::OK);
  SendNext();
}

void Stream::OnChanged(Subscription& subscription, const std::vector<std::string>& names) {
  std::lock_guard lock(mutex_);
  subscription.OnChanged(names);
  SendNext();
}

void Stream::SendNext() {
  if (writing_ || ended_) return;
  for (auto& [type_url, subscription] : subscriptions_) {
    auto response = subscription->Next(std::to_string(last_nonce_ + 1));
    if (!response) continue;
    ++last_nonce_;
    response_ = *std::move(response);
    writing_ = true;
    return StartWrite(&response_);
  }
}

void Stream::End(const grpc::Status& status) {
  if (std::exchange(ended_, true)) return;
  Finish(status);
}

void Stream::OnDone() {
  parts_.log.Info(kScope, "stream closed", {{"node", caller_.node}, {"peer", caller_.address}});
  std::shared_ptr<Stream> last_use;
  {
    std::lock_guard lock(mutex_);
    followers_.clear();
    last_use = std::move(self_);
  }
}

}  // namespace ambit::ads
