#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ztunnel-lite/state/mesh_state.h"
#include "ztunnel-lite/state/workload_table.h"

// Purpose  services by key, address, prefix and hostname, and their endpoints. A workload that
// comes
//          before its service is kept as that service's endpoint already; one that is unhealthy is
//          kept too and left out when asked, so that a change of the health policy needs no resend.
// Threads  none of its own; MeshState locks.
namespace ambit::state {

class ServiceTable {
 public:
  using EndpointView = MeshState::EndpointView;

  void Insert(ServicePtr service);
  // False if there is no such service. Its endpoints stay for the case that it comes back.
  bool Remove(const std::string& key);
  void AddEndpoints(const WorkloadPtr& workload);
  void RemoveEndpoints(const WorkloadPtr& workload);

  ServicePtr Find(const std::string& key) const;
  // A null `client_ns` sees what is private too.
  ServicePtr FindByHostname(const std::string& hostname, const std::string* client_ns) const;
  ServicePtr FindByHostname(std::string_view hostname, const std::string& client_ns,
                            const std::function<bool(const Service&)>& accept) const;
  ServicePtr FindByAddress(const NetworkAddress& address, const std::string* client_ns) const;
  std::span<const EndpointView> Endpoints(const std::string& key) const;
  bool HasEndpoint(const std::string& key, const std::string& workload_uid) const;
  std::vector<ServicePtr> All() const;
  // Services that only their endpoints speak of.
  void VisitStaged(const std::function<void(const std::string& key, std::span<const EndpointView>)>&
                       visit) const;

 private:
  using Bucket = std::vector<ServicePtr>;

  struct Entry {
    ServicePtr service;  // null while only endpoints are known
    std::vector<EndpointView> endpoints;
    // uid to place in `endpoints`; keys are views into the workloads there.
    std::unordered_map<std::string_view, size_t> places;
  };

  // Prefixes of one network, longest first.
  using Prefixes =
      std::map<unsigned, std::unordered_map<net::IpAddress, Bucket>, std::greater<unsigned>>;

  void Index(const ServicePtr& service, const ServicePtr& previous);
  void Unindex(const ServicePtr& service);
  ServicePtr FindByPrefix(const NetworkAddress& address, const std::string* client_ns) const;

  std::unordered_map<std::string, Entry> by_key_;
  // Found by views, so that a caller who tries many names allocates none.
  struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };

  std::unordered_map<std::string, Bucket, NameHash, std::equal_to<>> by_hostname_;
  std::unordered_map<NetworkAddress, Bucket, NetworkAddressHash> by_vip_;
  std::unordered_map<std::string, Prefixes> by_prefix_;
};

}  // namespace ambit::state
