#include "ztunnel-lite/state/workload_table.h"

#include <algorithm>

namespace ambit::state {

namespace {

std::string Join(const std::string& ns, const std::string& name) { return ns + "/" + name; }

int AddressRank(const Workload& workload) {
  bool pod = workload.uid.find("//Pod/") != std::string::npos;
  return (pod ? 2 : 0) + (workload.tunnel_protocol == TunnelProtocol::kHbone ? 1 : 0);
}

template <typename Index, typename Key>
void RemoveFrom(Index& index, const Key& key, const WorkloadPtr& workload) {
  auto found = index.find(key);
  if (found == index.end()) return;
  std::erase(found->second, workload);
  if (found->second.empty()) index.erase(found);
}

}  // namespace

WorkloadPtr WorkloadTable::Insert(WorkloadPtr workload) {
  WorkloadPtr previous = Remove(workload->uid);
  if (!workload->host_network) {
    for (const auto& address : workload->addresses) {
      auto& bucket = by_address_[{workload->network, address}];
      // Best first, so that a lookup takes the front.
      auto place = std::ranges::find_if(bucket, [&](const WorkloadPtr& other) {
        return AddressRank(*other) <= AddressRank(*workload);
      });
      bucket.insert(place, workload);
    }
  }
  by_name_[Join(workload->ns, workload->name)].push_back(workload);
  if (!workload->hostname.empty()) {
    by_hostname_[Join(workload->ns, workload->hostname)].push_back(workload);
  }
  std::string_view uid = workload->uid;
  by_uid_.emplace(uid, std::move(workload));
  return previous;
}

WorkloadPtr WorkloadTable::Remove(const std::string& uid) {
  auto found = by_uid_.find(uid);
  if (found == by_uid_.end()) return nullptr;
  WorkloadPtr workload = found->second;
  by_uid_.erase(found);
  Unindex(workload);
  return workload;
}

void WorkloadTable::Unindex(const WorkloadPtr& workload) {
  for (const auto& address : workload->addresses) {
    RemoveFrom(by_address_, NetworkAddress{workload->network, address}, workload);
  }
  RemoveFrom(by_name_, Join(workload->ns, workload->name), workload);
  if (!workload->hostname.empty()) {
    RemoveFrom(by_hostname_, Join(workload->ns, workload->hostname), workload);
  }
}

WorkloadPtr WorkloadTable::Find(const std::string& uid) const {
  auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : found->second;
}

WorkloadPtr WorkloadTable::FindByAddress(const NetworkAddress& address) const {
  auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : found->second.front();
}

WorkloadPtr WorkloadTable::FindByHostname(const NamespacedHostname& key) const {
  auto found = by_hostname_.find(Join(key.ns, key.hostname));
  return found == by_hostname_.end() ? nullptr : found->second.front();
}

WorkloadPtr WorkloadTable::FindPod(const std::string& ns, const std::string& name,
                                   const std::string& service_account,
                                   const std::string& node) const {
  auto found = by_name_.find(Join(ns, name));
  if (found == by_name_.end()) return nullptr;
  for (const auto& workload : found->second) {
    if (workload->service_account != service_account) continue;
    if (node.empty() || workload->node == node) return workload;
  }
  return nullptr;
}

std::vector<WorkloadPtr> WorkloadTable::All() const {
  std::vector<WorkloadPtr> out;
  out.reserve(by_uid_.size());
  for (const auto& [uid, workload] : by_uid_) out.push_back(workload);
  return out;
}

}  // namespace ambit::state
