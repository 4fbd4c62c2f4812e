#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "control-plane/index/mapping.h"
#include "control-plane/index/resource.h"
#include "lib/k8s/objects.h"

// Purpose  the resources of the mesh, kept in step with Kubernetes objects: each call returns only
//          the resources whose content that object changed. Pure. Threads  one.
// Cost     a pod: the services of its namespace. A service: the pods that its old or new selector
//          picks out of its namespace. A namespace: its pods.
namespace ambit::index {

class WorkloadIndex {
 public:
  explicit WorkloadIndex(MeshNames names) : names_(std::move(names)) {}

  Changes PutNamespace(std::shared_ptr<const k8s::Namespace> object);
  Changes RemoveNamespace(const std::string& name);
  Changes PutPod(std::shared_ptr<const k8s::Pod> object);
  Changes RemovePod(const k8s::Pod& last);
  Changes PutService(std::shared_ptr<const k8s::Service> object);
  Changes RemoveService(const k8s::Service& last);

 private:
  struct Space {
    std::shared_ptr<const k8s::Namespace> object;  // null until it is known: no labels
    std::map<std::string, std::shared_ptr<const k8s::Pod>, std::less<>> pods;
    ServicesByName services;
    bool Empty() const { return !object && pods.empty() && services.empty(); }
  };

  void MapPod(const Space& space, const k8s::Pod& pod, Changes& changes);
  void MapAllPods(const Space& space, Changes& changes);
  void Publish(Resource resource, Changes& changes);
  void Withdraw(const std::string& name, Changes& changes);
  void DropIfEmpty(const std::string& name);

  const MeshNames names_;
  std::map<std::string, Space, std::less<>> spaces_;
  std::map<std::string, std::string, std::less<>> versions_;  // of what is announced, by name
};

}  // namespace ambit::index
