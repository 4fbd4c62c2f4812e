#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "proto/authorization.pb.h"
#include "proto/workload.pb.h"
#include "ztunnel-lite/state/decode.h"
#include "ztunnel-lite/state/mesh_state.h"

// Resources as the control plane would send them, one after the other, into one mesh: each is
// looked up by all that it says of itself, and what was not removed on the way is removed at the
// end, after which the mesh must be empty.
namespace ambit::state {
namespace {

void Must(bool holds) {
  if (!holds) std::abort();
}

class Fuzz {
 public:
  // A byte that says what to do, two of length, then the bytes of the resource or its name.
  void Run(std::string_view data) {
    while (data.size() >= 3) {
      uint8_t action = static_cast<uint8_t>(data[0]);
      size_t size = static_cast<uint8_t>(data[1]) * 256u + static_cast<uint8_t>(data[2]);
      std::string bytes(data.substr(3, size));
      data.remove_prefix(std::min(data.size(), 3 + size));
      Take(action, bytes);
    }
    for (const auto& name : addresses_) mesh_.RemoveAddress(name);
    for (const auto& name : policies_) mesh_.RemovePolicy(name);
    Must(mesh_.AllWorkloads().empty() && mesh_.AllServices().empty());
    Must(mesh_.AllPolicies().empty() && mesh_.StagedEndpoints().empty());
  }

 private:
  void Take(uint8_t action, const std::string& bytes) {
    switch (action % 4) {
      case 0:
        return TakeAddress(bytes);
      case 1:
        return TakePolicy(bytes);
      case 2:
        return mesh_.RemoveAddress(bytes);
      case 3:
        return mesh_.RemovePolicy(bytes);
    }
  }

  void TakeAddress(const std::string& bytes) {
    istio::workload::Address message;
    if (!message.ParseFromString(bytes)) return;
    auto address = DecodeAddress(message);
    if (!address) return;
    if (auto* workload = std::get_if<Workload>(&*address)) {
      Insert(std::make_shared<const Workload>(std::move(*workload)));
    } else {
      Insert(std::make_shared<const Service>(std::move(std::get<Service>(*address))));
    }
  }

  void Insert(const WorkloadPtr& workload) {
    addresses_.push_back(workload->uid);
    mesh_.Upsert(workload);
    Must(mesh_.FindWorkload(workload->uid) == workload);
    Must(mesh_.FindLocalWorkload(workload->ns, workload->name, workload->service_account,
                                 workload->node) != nullptr);
    for (const auto& address : workload->addresses) {
      bool found = mesh_.FindWorkloadByAddress({workload->network, address}) != nullptr;
      Must(found || workload->host_network);
    }
    (void)mesh_.PoliciesFor(*workload);
    (void)workload->identity().Uri();
  }

  void Insert(const ServicePtr& service) {
    addresses_.push_back(service->Key());
    mesh_.Upsert(service);
    Must(mesh_.FindService({service->ns, service->hostname}) == service);
    Must(mesh_.FindServiceByHostname(service->hostname, service->ns) != nullptr);
    for (const auto& vip : service->vips) Must(mesh_.FindServiceByAddress(vip) != nullptr);
    for (const auto& vip : service->cidr_vips) {
      Must(mesh_.FindServiceByAddress({vip.network, vip.cidr.base()}) != nullptr);
    }
    for (const auto& endpoint : mesh_.EndpointsOf(*service)) {
      Must(mesh_.HasEndpoint(*service, endpoint.workload->uid));
    }
  }

  void TakePolicy(const std::string& bytes) {
    istio::security::Authorization message;
    if (!message.ParseFromString(bytes)) return;
    auto policy = DecodePolicy(message.namespace_() + "/" + message.name(), message);
    if (!policy) return;
    policies_.push_back(policy->resource_name);
    mesh_.Upsert(std::make_shared<const Policy>(std::move(*policy)));
    Must(mesh_.FindPolicy(policies_.back()) != nullptr);
  }

  MeshState mesh_;
  std::vector<std::string> addresses_, policies_;
};

}  // namespace
}  // namespace ambit::state

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ambit::state::Fuzz().Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
