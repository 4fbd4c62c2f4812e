#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "control-plane/index/resource.h"

// Purpose  the present resources of one type, and word to whoever follows them.
// Threads  any. Observers are called without the store's lock, on the thread that applies changes.
namespace ambit::ads {

using ResourcePtr = std::shared_ptr<const index::Resource>;

class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  // The names of what was put or removed; ask the store what holds now.
  virtual void OnChanged(const std::vector<std::string>& names) = 0;
};

class ResourceStore {
 public:
  // Put replaces the resource of the same name.
  void Apply(const index::Changes& changes);

  // Null: no such name.
  ResourcePtr Find(const std::string& name) const;
  // What a client gets that asks for the key: the resource of that name, those with that alias, and
  // the members of that group.
  std::vector<ResourcePtr> Lookup(const std::string& key) const;
  std::vector<ResourcePtr> All() const;
  size_t size() const;

  // An observer that has ended is forgotten.
  void Observe(std::weak_ptr<StoreObserver> observer);

 private:
  void Unindex(const index::Resource& resource);
  void Index(const index::Resource& resource);
  std::vector<std::shared_ptr<StoreObserver>> LiveObservers();

  mutable std::mutex mutex_;
  std::map<std::string, ResourcePtr> resources_;
  std::map<std::string, std::set<std::string>> names_of_key_;
  std::vector<std::weak_ptr<StoreObserver>> observers_;
};

}  // namespace ambit::ads
