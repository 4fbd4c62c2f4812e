#include "ztunnel-lite/state/service_table.h"

#include <algorithm>
#include <tuple>

namespace ambit::state {

namespace {

bool VisibleTo(const Service& service, const std::string* client_ns) {
  return client_ns == nullptr || !service.namespace_private || service.ns == *client_ns;
}

bool InNamespace(const Service& service, const std::string* client_ns) {
  return client_ns != nullptr && service.ns == *client_ns;
}

// Of services that share a name or an address: the client's namespace, then the canonical one (the
// last that came), then the first that came.
ServicePtr Choose(const std::vector<ServicePtr>& bucket, const std::string* client_ns,
                  const std::function<bool(const Service&)>& accept = nullptr) {
  ServicePtr best;
  int best_rank = -1;
  for (const auto& service : bucket) {
    if (!VisibleTo(*service, client_ns) || (accept && !accept(*service))) continue;
    int rank = InNamespace(*service, client_ns) ? 2 : (service->canonical ? 1 : 0);
    if (rank > best_rank || (rank == 1 && best_rank == 1)) {
      best = service;
      best_rank = rank;
    }
  }
  return best;
}

// An update keeps the place of the service it replaces, so that it does not change who is first.
void Place(std::vector<ServicePtr>& bucket, const ServicePtr& service, const ServicePtr& previous) {
  auto found = previous ? std::ranges::find(bucket, previous) : bucket.end();
  if (found != bucket.end()) {
    *found = service;
  } else if (std::ranges::find(bucket, service) == bucket.end()) {
    bucket.push_back(service);
  }
}

template <typename Index, typename Key>
void RemoveFrom(Index& index, const Key& key, const ServicePtr& service) {
  auto found = index.find(key);
  if (found == index.end()) return;
  std::erase(found->second, service);
  if (found->second.empty()) index.erase(found);
}

}  // namespace

void ServiceTable::Insert(ServicePtr service) {
  Entry& entry = by_key_[service->Key()];
  ServicePtr previous = entry.service;
  Index(service, previous);
  if (previous) Unindex(previous);
  entry.service = std::move(service);
}

void ServiceTable::Index(const ServicePtr& service, const ServicePtr& previous) {
  Place(by_hostname_[service->hostname], service, previous);
  for (const auto& vip : service->vips) Place(by_vip_[vip], service, previous);
  for (const auto& vip : service->cidr_vips) {
    Place(by_prefix_[vip.network][vip.cidr.length()][vip.cidr.base()], service, previous);
  }
}

void ServiceTable::Unindex(const ServicePtr& service) {
  RemoveFrom(by_hostname_, service->hostname, service);
  for (const auto& vip : service->vips) RemoveFrom(by_vip_, vip, service);
  for (const auto& vip : service->cidr_vips) {
    auto prefixes = by_prefix_.find(vip.network);
    if (prefixes == by_prefix_.end()) continue;
    auto of_length = prefixes->second.find(vip.cidr.length());
    if (of_length == prefixes->second.end()) continue;
    RemoveFrom(of_length->second, vip.cidr.base(), service);
    if (of_length->second.empty()) prefixes->second.erase(of_length);
    if (prefixes->second.empty()) by_prefix_.erase(prefixes);
  }
}

bool ServiceTable::Remove(const std::string& key) {
  auto found = by_key_.find(key);
  if (found == by_key_.end() || !found->second.service) return false;
  Unindex(found->second.service);
  found->second.service = nullptr;
  if (found->second.endpoints.empty()) by_key_.erase(found);
  return true;
}

void ServiceTable::AddEndpoints(const WorkloadPtr& workload) {
  for (const auto& [key, ports] : workload->services) {
    Entry& entry = by_key_[key];
    entry.places.emplace(workload->uid, entry.endpoints.size());
    entry.endpoints.push_back({workload, &ports});
  }
}

void ServiceTable::RemoveEndpoints(const WorkloadPtr& workload) {
  for (const auto& [key, ports] : workload->services) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) continue;
    Entry& entry = found->second;
    auto place = entry.places.find(workload->uid);
    if (place == entry.places.end()) continue;
    size_t index = place->second;
    entry.places.erase(place);
    if (index + 1 != entry.endpoints.size()) {
      entry.endpoints[index] = std::move(entry.endpoints.back());
      entry.places[entry.endpoints[index].workload->uid] = index;
    }
    entry.endpoints.pop_back();
    if (entry.endpoints.empty() && !entry.service) by_key_.erase(found);
  }
}

ServicePtr ServiceTable::Find(const std::string& key) const {
  auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second.service;
}

ServicePtr ServiceTable::FindByHostname(const std::string& hostname,
                                        const std::string* client_ns) const {
  auto found = by_hostname_.find(hostname);
  return found == by_hostname_.end() ? nullptr : Choose(found->second, client_ns);
}

ServicePtr ServiceTable::FindByHostname(std::string_view hostname, const std::string& client_ns,
                                        const std::function<bool(const Service&)>& accept) const {
  auto found = by_hostname_.find(hostname);
  return found == by_hostname_.end() ? nullptr : Choose(found->second, &client_ns, accept);
}

ServicePtr ServiceTable::FindByAddress(const NetworkAddress& address,
                                       const std::string* client_ns) const {
  auto found = by_vip_.find(address);
  if (found != by_vip_.end()) {
    if (auto service = Choose(found->second, client_ns)) return service;
  }
  return FindByPrefix(address, client_ns);
}

ServicePtr ServiceTable::FindByPrefix(const NetworkAddress& address,
                                      const std::string* client_ns) const {
  auto prefixes = by_prefix_.find(address.network);
  if (prefixes == by_prefix_.end()) return nullptr;
  ServicePtr best;
  // The client's own namespace beats a longer prefix.
  std::tuple<bool, unsigned, bool> best_rank;
  for (const auto& [length, bases] : prefixes->second) {
    auto prefix = net::Cidr::Make(address.address, length);
    if (!prefix) continue;
    auto found = bases.find(prefix->base());
    if (found == bases.end()) continue;
    for (const auto& service : found->second) {
      if (!VisibleTo(*service, client_ns)) continue;
      std::tuple rank(InNamespace(*service, client_ns), length, service->canonical);
      if (best && rank <= best_rank) continue;
      best = service;
      best_rank = rank;
    }
  }
  return best;
}

std::span<const ServiceTable::EndpointView> ServiceTable::Endpoints(const std::string& key) const {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return {};
  return found->second.endpoints;
}

bool ServiceTable::HasEndpoint(const std::string& key, const std::string& workload_uid) const {
  auto found = by_key_.find(key);
  return found != by_key_.end() && found->second.places.contains(workload_uid);
}

void ServiceTable::VisitStaged(
    const std::function<void(const std::string& key, std::span<const EndpointView>)>& visit) const {
  for (const auto& [key, entry] : by_key_) {
    if (!entry.service) visit(key, entry.endpoints);
  }
}

std::vector<ServicePtr> ServiceTable::All() const {
  std::vector<ServicePtr> out;
  for (const auto& [key, entry] : by_key_) {
    if (entry.service) out.push_back(entry.service);
  }
  return out;
}

}  // namespace ambit::state
