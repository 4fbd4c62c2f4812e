#include "control-plane/ads/subscription.h"

#include <algorithm>
#include <utility>

namespace ambit::ads {

Result<std::optional<std::string>> Subscription::OnRequest(const Request& request) {
  std::optional<std::string> rejected;
  if (!request.response_nonce().empty() && request.response_nonce() == unacknowledged_) {
    unacknowledged_.clear();
    // What it rejected counts as sent all the same: sending it again would be rejected again.
    if (request.has_error_detail()) rejected = request.error_detail().message();
  }
  if (!started_) StartWith(request);
  auto changed = ChangeNames(request);
  if (!changed) return Fail(changed.error());
  return rejected;
}

void Subscription::StartWith(const Request& request) {
  started_ = true;
  must_answer_ = true;
  everything_ = true;
  // No names at all is the older way to ask for everything.
  wildcard_ =
      request.resource_names_subscribe().empty() && request.resource_names_unsubscribe().empty();
  known_.insert(request.initial_resource_versions().begin(),
                request.initial_resource_versions().end());
}

Result<void> Subscription::ChangeNames(const Request& request) {
  for (const std::string& name : request.resource_names_subscribe()) {
    if (name == "*") {
      everything_ = everything_ || !wildcard_;
      wildcard_ = true;
    } else {
      names_.insert(name);
      asked_.insert(name);
    }
  }
  for (const std::string& name : request.resource_names_unsubscribe()) {
    if (name == "*") {
      wildcard_ = false;
    } else {
      names_.erase(name);
      asked_.erase(name);
      // The client drops it, so it has to be sent again should it be asked for once more.
      if (!wildcard_) known_.erase(name);
    }
  }
  if (names_.size() > max_names_) {
    return Fail(ErrorCode::kResourceExhausted,
                "more than " + std::to_string(max_names_) + " names are subscribed; use \"*\"");
  }
  return {};
}

void Subscription::OnChanged(const std::vector<std::string>& names) {
  if (!started_ || everything_) return;
  dirty_.insert(names.begin(), names.end());
  // A client that does not answer must not make us remember every name that ever was.
  if (dirty_.size() > store_.size() + 1000) {
    dirty_.clear();
    everything_ = true;
  }
}

bool Subscription::Wants(const index::Resource& resource) const {
  auto named = [this](const std::string& key) { return names_.contains(key); };
  return wildcard_ || named(resource.name) || std::ranges::any_of(resource.aliases, named) ||
         std::ranges::any_of(resource.groups, named);
}

void Subscription::Offer(const index::Resource& resource, Response& response) {
  auto [known, fresh] = known_.try_emplace(resource.name, resource.version);
  if (!fresh && known->second == resource.version) return;
  known->second = resource.version;
  auto& out = *response.add_resources();
  out.set_name(resource.name);
  out.set_version(resource.version);
  for (const std::string& alias : resource.aliases) out.add_aliases(alias);
  out.mutable_resource()->set_type_url(type_url_);
  out.mutable_resource()->set_value(resource.body);
}

void Subscription::Remove(const std::string& name, Response& response) {
  if (known_.erase(name) > 0) response.add_removed_resources(name);
}

void Subscription::FillEverything(Response& response) {
  // Removals first find what the client knows and the store does not have: after a reconnect these
  // are the resources that vanished meanwhile.
  std::vector<std::string> gone;
  for (const auto& [name, version] : known_) {
    if (!store_.Find(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) Remove(name, response);
  for (const ResourcePtr& resource : store_.All()) {
    if (Wants(*resource)) Offer(*resource, response);
  }
}

void Subscription::FillDirty(Response& response) {
  for (const std::string& name : dirty_) {
    ResourcePtr resource = store_.Find(name);
    if (!resource) {
      Remove(name, response);
    } else if (Wants(*resource) || known_.contains(name)) {
      Offer(*resource, response);
    }
  }
}

void Subscription::FillAsked(Response& response) {
  for (const std::string& key : asked_) {
    for (const ResourcePtr& resource : store_.Lookup(key)) Offer(*resource, response);
    // No resource has this very name: said as a removal, which also ends the wait of a client that
    // asked by an address and does not read aliases.
    if (!store_.Find(key) && std::ranges::find(response.removed_resources(), key) ==
                                 response.removed_resources().end()) {
      known_.erase(key);
      response.add_removed_resources(key);
    }
  }
}

std::optional<Subscription::Response> Subscription::Next(const std::string& nonce) {
  if (!started_ || !unacknowledged_.empty()) return std::nullopt;
  if (!must_answer_ && !everything_ && dirty_.empty() && asked_.empty()) return std::nullopt;
  Response response;
  if (everything_) {
    FillEverything(response);
  } else {
    FillDirty(response);
  }
  FillAsked(response);
  everything_ = false;
  dirty_.clear();
  asked_.clear();
  bool empty = response.resources().empty() && response.removed_resources().empty();
  if (!std::exchange(must_answer_, false) && empty) return std::nullopt;
  response.set_type_url(type_url_);
  response.set_nonce(nonce);
  unacknowledged_ = nonce;
  return response;
}

}  // namespace ambit::ads
