#pragma once

#include <memory>
#include <string>

#include "control-plane/ads/resource_store.h"
#include "control-plane/index/node_accounts.h"
#include "control-plane/index/workload_index.h"
#include "lib/k8s/source.h"

namespace ambit::control {

// Takes what a source of objects sees through the index into the stores that are served.
// Thread  the source's.
class Feed : public k8s::Listener {
 public:
  // The stores outlive the feed.
  Feed(index::MeshNames names, ads::ResourceStore& addresses, index::NodeAccounts& accounts)
      : index_(std::move(names)), addresses_(addresses), accounts_(accounts) {}

  void OnNamespace(std::shared_ptr<const k8s::Namespace> object) override {
    addresses_.Apply(index_.PutNamespace(std::move(object)));
  }
  void OnNamespaceGone(const std::string& name) override {
    addresses_.Apply(index_.RemoveNamespace(name));
  }
  void OnPod(std::shared_ptr<const k8s::Pod> object) override {
    // First: whoever learns of the pod may ask for its certificate at once.
    accounts_.Put(*object);
    addresses_.Apply(index_.PutPod(std::move(object)));
  }
  void OnPodGone(std::shared_ptr<const k8s::Pod> last) override {
    addresses_.Apply(index_.RemovePod(*last));
    accounts_.Remove(*last);
  }
  void OnService(std::shared_ptr<const k8s::Service> object) override {
    addresses_.Apply(index_.PutService(std::move(object)));
  }
  void OnServiceGone(std::shared_ptr<const k8s::Service> last) override {
    addresses_.Apply(index_.RemoveService(*last));
  }
  void OnSynced() override {}

 private:
  index::WorkloadIndex index_;
  ads::ResourceStore& addresses_;
  index::NodeAccounts& accounts_;
};

}  // namespace ambit::control
