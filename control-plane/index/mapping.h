#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "lib/k8s/mesh_selection.h"
#include "lib/k8s/objects.h"
#include "proto/workload.pb.h"

// Purpose  Kubernetes objects as messages of the Workload API. Pure.
namespace ambit::index {

inline constexpr char kRedirectionAnnotation[] = "ambient.istio.io/redirection";
inline constexpr char kCapacityAnnotation[] = "ambit.io/capacity";

struct MeshNames {
  std::string cluster_id = "Kubernetes";
  std::string trust_domain = "cluster.local";
  std::string cluster_domain = "cluster.local";
  std::string network;
};

// Of one namespace, by name.
using ServicesByName = std::map<std::string, std::shared_ptr<const k8s::Service>, std::less<>>;

std::string WorkloadUid(const MeshNames& names, const k8s::Pod& pod);
// "namespace/hostname".
std::string ServiceName(const MeshNames& names, const k8s::Service& service);

bool Selects(const k8s::Service& service, const k8s::Pod& pod);

// nullopt: the pod is not announced, because it has ended or has no address yet.
//   services  of the pod's namespace, matching or not
std::optional<istio::workload::Workload> ToWorkload(const MeshNames& names, const k8s::Pod& pod,
                                                    const k8s::Namespace& of_pod,
                                                    const ServicesByName& services);

istio::workload::Service ToService(const MeshNames& names, const k8s::Service& service);

}  // namespace ambit::index
