#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ztunnel-lite/state/resources.h"

// Purpose  the mesh as the tunnel sees it: indexed values that many threads read and one writes.
// Threads  lookups from any thread (one shared lock, taken per connection, never per packet);
// updates
//          from the control thread only.
namespace ambit::state {

using WorkloadPtr = std::shared_ptr<const Workload>;
using ServicePtr = std::shared_ptr<const Service>;
using PolicyPtr = std::shared_ptr<const Policy>;

// One pod or external workload behind a service, with the ports it serves there.
struct ServiceEndpoint {
  WorkloadPtr workload;
  PortMap ports;
};

class MeshState {
 public:
  MeshState();
  ~MeshState();

  // --- lookups ---
  // The pod that a listener belongs to, by what ZDS says of it, among workloads of `node` (any node
  // if it is empty). Null if the control plane has not announced it yet.
  WorkloadPtr FindLocalWorkload(const std::string& ns, const std::string& name,
                                const std::string& service_account, const std::string& node) const;
  WorkloadPtr FindWorkload(const std::string& uid) const;
  WorkloadPtr FindWorkloadByAddress(const NetworkAddress& address) const;
  // Exact address first, then the longest prefix; only what clients in `client_ns` may see.
  ServicePtr FindServiceByAddress(const NetworkAddress& address,
                                  const std::string& client_ns) const;
  // The same whoever asks: also services that are private to their namespace.
  ServicePtr FindServiceByAddress(const NetworkAddress& address) const;
  ServicePtr FindServiceByHostname(const std::string& hostname, const std::string& client_ns) const;
  ServicePtr FindService(const NamespacedHostname& key) const;
  PolicyPtr FindPolicy(const std::string& resource_name) const;
  // A workload that has a hostname of its own, as waypoint and gateway references name it.
  WorkloadPtr FindWorkloadByHostname(const NamespacedHostname& key) const;
  // Endpoints that the health policy allows.
  std::vector<ServiceEndpoint> EndpointsOf(const Service& service) const;
  // The same without copying ports, unhealthy ones included: `visit` runs once, under the lock, so
  // it must be short and must not call the state. `ports` lives as long as the workload.
  struct EndpointView {
    WorkloadPtr workload;
    const PortMap* ports;
  };
  void VisitEndpoints(const Service& service,
                      const std::function<void(std::span<const EndpointView>)>& visit) const;
  // Services by name while one lock is held, for a caller that tries many names at once (DNS).
  class NameView {
   public:
    virtual ~NameView() = default;
    // Of the services with this hostname ("*.example.com" is one too) that clients in `client_ns`
    // may see and `accept` takes, the one they mean; null if there is none.
    virtual ServicePtr Find(std::string_view hostname, const std::string& client_ns,
                            const std::function<bool(const Service&)>& accept) const = 0;
    // Unhealthy ones included.
    virtual std::span<const EndpointView> Endpoints(const Service& service) const = 0;
  };
  // `visit` runs once, under the lock, as above.
  void VisitNames(const std::function<void(const NameView&)>& visit) const;
  // Whether the workload is an endpoint of the service, healthy or not.
  bool HasEndpoint(const Service& service, const std::string& workload_uid) const;
  // Endpoints whose service has not come yet, by the service's key.
  std::map<std::string, std::vector<ServiceEndpoint>> StagedEndpoints() const;
  // Global ones, those of the workload's namespace, and those it names.
  std::vector<PolicyPtr> PoliciesFor(const Workload& workload) const;
  std::vector<WorkloadPtr> AllWorkloads() const;
  std::vector<ServicePtr> AllServices() const;
  std::vector<PolicyPtr> AllPolicies() const;

  // --- updates, control thread ---
  void Upsert(WorkloadPtr workload);
  void Upsert(ServicePtr service);
  void Upsert(PolicyPtr policy);
  // A workload uid or "namespace/hostname". Unknown names are ignored.
  void RemoveAddress(const std::string& resource_name);
  void RemovePolicy(const std::string& resource_name);

  // `changed` runs on the control thread after each batch: Commit() marks the end of one. It stays
  // registered for the life of the state.
  struct Batch {
    bool workloads = false;
    bool policies = false;
  };
  void OnChange(std::function<void(Batch)> changed);
  void Commit();

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

}  // namespace ambit::state
