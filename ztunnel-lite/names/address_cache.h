#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <unordered_map>

#include "ztunnel-lite/names/host_resolver.h"

namespace ambit::names {

// Addresses of names for as long as their records live. Threads  one at a time.
class AddressCache {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit AddressCache(size_t bound) : bound_(bound) {}

  // Null where there is none that still lives.
  const Addresses* Find(const std::string& name, TimePoint now) const;
  // At the bound the name that came first goes. A life of zero is not kept.
  void Put(const std::string& name, Addresses addresses, std::chrono::seconds life, TimePoint now);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Addresses addresses;
    TimePoint end;
  };
  const size_t bound_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::string> order_;  // of the names in `entries_`, oldest first
};

}  // namespace ambit::names
