#include "ztunnel-lite/state/mesh_state.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "ztunnel-lite/state/policy_table.h"
#include "ztunnel-lite/state/service_table.h"
#include "ztunnel-lite/state/workload_table.h"

namespace ambit::state {

struct MeshState::Tables {
  mutable std::shared_mutex mutex;
  WorkloadTable workloads;
  ServiceTable services;
  PolicyTable policies;
  // Control thread only.
  Batch batch;
  std::vector<std::function<void(Batch)>> listeners;
};

namespace {

template <typename T>
std::vector<T> Sorted(std::vector<T> values, auto key) {
  std::ranges::sort(values, {}, key);
  return values;
}

class TableNames : public MeshState::NameView {
 public:
  explicit TableNames(const ServiceTable& services) : services_(services) {}

  ServicePtr Find(std::string_view hostname, const std::string& client_ns,
                  const std::function<bool(const Service&)>& accept) const override {
    return services_.FindByHostname(hostname, client_ns, accept);
  }
  std::span<const MeshState::EndpointView> Endpoints(const Service& service) const override {
    return services_.Endpoints(service.Key());
  }

 private:
  const ServiceTable& services_;
};

}  // namespace

MeshState::MeshState() : tables_(std::make_unique<Tables>()) {}
MeshState::~MeshState() = default;

WorkloadPtr MeshState::FindLocalWorkload(const std::string& ns, const std::string& name,
                                         const std::string& service_account,
                                         const std::string& node) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->workloads.FindPod(ns, name, service_account, node);
}

WorkloadPtr MeshState::FindWorkload(const std::string& uid) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->workloads.Find(uid);
}

WorkloadPtr MeshState::FindWorkloadByAddress(const NetworkAddress& address) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->workloads.FindByAddress(address);
}

WorkloadPtr MeshState::FindWorkloadByHostname(const NamespacedHostname& key) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->workloads.FindByHostname(key);
}

ServicePtr MeshState::FindServiceByAddress(const NetworkAddress& address,
                                           const std::string& client_ns) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->services.FindByAddress(address, &client_ns);
}

ServicePtr MeshState::FindServiceByAddress(const NetworkAddress& address) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->services.FindByAddress(address, nullptr);
}

ServicePtr MeshState::FindServiceByHostname(const std::string& hostname,
                                            const std::string& client_ns) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->services.FindByHostname(hostname, &client_ns);
}

ServicePtr MeshState::FindService(const NamespacedHostname& key) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->services.Find(key.ns + "/" + key.hostname);
}

PolicyPtr MeshState::FindPolicy(const std::string& resource_name) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->policies.Find(resource_name);
}

std::map<std::string, std::vector<ServiceEndpoint>> MeshState::StagedEndpoints() const {
  std::map<std::string, std::vector<ServiceEndpoint>> out;
  std::shared_lock lock(tables_->mutex);
  tables_->services.VisitStaged(
      [&out](const std::string& key, std::span<const EndpointView> endpoints) {
        for (const auto& endpoint : endpoints) {
          out[key].push_back({endpoint.workload, *endpoint.ports});
        }
      });
  return out;
}

std::vector<ServiceEndpoint> MeshState::EndpointsOf(const Service& service) const {
  std::vector<ServiceEndpoint> out;
  VisitEndpoints(service, [&](std::span<const EndpointView> endpoints) {
    for (const auto& endpoint : endpoints) {
      if (!endpoint.workload->healthy && !service.allow_unhealthy) continue;
      out.push_back({endpoint.workload, *endpoint.ports});
    }
  });
  return out;
}

void MeshState::VisitEndpoints(
    const Service& service, const std::function<void(std::span<const EndpointView>)>& visit) const {
  std::shared_lock lock(tables_->mutex);
  visit(tables_->services.Endpoints(service.Key()));
}

void MeshState::VisitNames(const std::function<void(const NameView&)>& visit) const {
  std::shared_lock lock(tables_->mutex);
  visit(TableNames(tables_->services));
}

bool MeshState::HasEndpoint(const Service& service, const std::string& workload_uid) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->services.HasEndpoint(service.Key(), workload_uid);
}

std::vector<PolicyPtr> MeshState::PoliciesFor(const Workload& workload) const {
  std::shared_lock lock(tables_->mutex);
  return tables_->policies.For(workload);
}

std::vector<WorkloadPtr> MeshState::AllWorkloads() const {
  std::shared_lock lock(tables_->mutex);
  return Sorted(tables_->workloads.All(), [](const WorkloadPtr& w) { return w->uid; });
}

std::vector<ServicePtr> MeshState::AllServices() const {
  std::shared_lock lock(tables_->mutex);
  return Sorted(tables_->services.All(), [](const ServicePtr& s) { return s->Key(); });
}

std::vector<PolicyPtr> MeshState::AllPolicies() const {
  std::shared_lock lock(tables_->mutex);
  return Sorted(tables_->policies.All(), [](const PolicyPtr& p) { return p->resource_name; });
}

void MeshState::Upsert(WorkloadPtr workload) {
  std::unique_lock lock(tables_->mutex);
  WorkloadPtr previous = tables_->workloads.Insert(workload);
  if (previous) tables_->services.RemoveEndpoints(previous);
  tables_->services.AddEndpoints(workload);
  tables_->batch.workloads = true;
}

void MeshState::Upsert(ServicePtr service) {
  std::unique_lock lock(tables_->mutex);
  tables_->services.Insert(std::move(service));
}

void MeshState::Upsert(PolicyPtr policy) {
  std::unique_lock lock(tables_->mutex);
  tables_->policies.Insert(std::move(policy));
  tables_->batch.policies = true;
}

void MeshState::RemoveAddress(const std::string& resource_name) {
  std::unique_lock lock(tables_->mutex);
  if (WorkloadPtr workload = tables_->workloads.Remove(resource_name)) {
    tables_->services.RemoveEndpoints(workload);
    tables_->batch.workloads = true;
    return;
  }
  tables_->services.Remove(resource_name);
}

void MeshState::RemovePolicy(const std::string& resource_name) {
  std::unique_lock lock(tables_->mutex);
  if (tables_->policies.Remove(resource_name)) tables_->batch.policies = true;
}

void MeshState::OnChange(std::function<void(Batch)> changed) {
  tables_->listeners.push_back(std::move(changed));
}

void MeshState::Commit() {
  Batch batch = std::exchange(tables_->batch, Batch());
  for (const auto& listener : tables_->listeners) listener(batch);
}

}  // namespace ambit::state
