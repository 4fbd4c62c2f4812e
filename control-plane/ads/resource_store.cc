#include "control-plane/ads/resource_store.h"

#include <utility>

namespace ambit::ads {
namespace {

template <typename Visit>
void ForEachKey(const index::Resource& resource, Visit visit) {
  for (const std::string& alias : resource.aliases) visit(alias);
  for (const std::string& group : resource.groups) visit(group);
}

}  // namespace

void ResourceStore::Unindex(const index::Resource& resource) {
  ForEachKey(resource, [&](const std::string& key) {
    auto found = names_of_key_.find(key);
    if (found == names_of_key_.end()) return;
    found->second.erase(resource.name);
    if (found->second.empty()) names_of_key_.erase(found);
  });
}

void ResourceStore::Index(const index::Resource& resource) {
  ForEachKey(resource, [&](const std::string& key) { names_of_key_[key].insert(resource.name); });
}

std::vector<std::shared_ptr<StoreObserver>> ResourceStore::LiveObservers() {
  std::vector<std::shared_ptr<StoreObserver>> live;
  std::erase_if(observers_, [&](const std::weak_ptr<StoreObserver>& weak) {
    auto observer = weak.lock();
    if (observer) live.push_back(std::move(observer));
    return weak.expired();
  });
  return live;
}

void ResourceStore::Apply(const index::Changes& changes) {
  if (changes.empty()) return;
  std::vector<std::string> names;
  std::vector<std::shared_ptr<StoreObserver>> observers;
  {
    std::lock_guard lock(mutex_);
    for (const ResourcePtr& resource : changes.put) {
      ResourcePtr old = std::exchange(resources_[resource->name], resource);
      if (old) Unindex(*old);
      Index(*resource);
      names.push_back(resource->name);
    }
    for (const std::string& name : changes.removed) {
      auto found = resources_.find(name);
      if (found == resources_.end()) continue;
      Unindex(*found->second);
      resources_.erase(found);
      names.push_back(name);
    }
    observers = LiveObservers();
  }
  for (const auto& observer : observers) observer->OnChanged(names);
}

ResourcePtr ResourceStore::Find(const std::string& name) const {
  std::lock_guard lock(mutex_);
  auto found = resources_.find(name);
  return found == resources_.end() ? nullptr : found->second;
}

std::vector<ResourcePtr> ResourceStore::Lookup(const std::string& key) const {
  std::lock_guard lock(mutex_);
  std::vector<ResourcePtr> found;
  if (auto named = resources_.find(key); named != resources_.end()) found.push_back(named->second);
  if (auto names = names_of_key_.find(key); names != names_of_key_.end()) {
    for (const std::string& name : names->second) found.push_back(resources_.at(name));
  }
  return found;
}

std::vector<ResourcePtr> ResourceStore::All() const {
  std::lock_guard lock(mutex_);
  std::vector<ResourcePtr> all;
  all.reserve(resources_.size());
  for (const auto& [name, resource] : resources_) all.push_back(resource);
  return all;
}

size_t ResourceStore::size() const {
  std::lock_guard lock(mutex_);
  return resources_.size();
}

void ResourceStore::Observe(std::weak_ptr<StoreObserver> observer) {
  std::lock_guard lock(mutex_);
  observers_.push_back(std::move(observer));
}

}  // namespace ambit::ads
