#include "ztunnel-lite/names/address_cache.h"

#include <utility>

namespace ambit::names {

const Addresses* AddressCache::Find(const std::string& name, TimePoint now) const {
  auto found = entries_.find(name);
  if (found == entries_.end() || found->second.end <= now) return nullptr;
  return &found->second.addresses;
}

void AddressCache::Put(const std::string& name, Addresses addresses, std::chrono::seconds life,
                       TimePoint now) {
  if (life <= std::chrono::seconds(0)) return;
  auto [entry, added] = entries_.insert_or_assign(name, Entry{std::move(addresses), now + life});
  if (!added) return;
  order_.push_back(name);
  if (entries_.size() <= bound_) return;
  entries_.erase(order_.front());
  order_.pop_front();
}

}  // namespace ambit::names
