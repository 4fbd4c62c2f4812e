#include "control-plane/index/workload_index.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <utility>

#include "lib/base/bytes.h"

namespace ambit::index {
namespace {

namespace wl = istio::workload;

// The order of a map's entries must not change the bytes, or the version would change with them.
std::string Serialize(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

// FNV-1a, 128 bits: stable over restarts and builds, and no attacker gains from a collision.
std::string VersionOf(std::string_view body) {
  using Wide = unsigned __int128;
  const Wide prime = (Wide{1} << 88) + 0x13b;
  Wide hash = (Wide{0x6c62272e07bb0142} << 64) + 0x62b821756295c58d;
  for (char c : body) hash = (hash ^ static_cast<unsigned char>(c)) * prime;
  Bytes bytes(16);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(hash >> (8 * i));
  return HexEncode(bytes);
}

std::string AliasOf(const std::string& network, const std::string& address_bytes) {
  auto address = net::IpAddress::FromBytes(AsBytes(address_bytes));
  return address ? network + "/" + address->ToString() : "";
}

Resource ToResource(const wl::Workload& workload) {
  Resource resource;
  resource.name = workload.uid();
  // Pods of the host share its address, which therefore names none of them.
  if (workload.network_mode() != wl::HOST_NETWORK) {
    for (const std::string& address : workload.addresses()) {
      resource.aliases.push_back(AliasOf(workload.network(), address));
    }
  }
  std::set<std::string> groups;
  for (const auto& [service, ports] : workload.services()) groups.insert(service);
  resource.groups.assign(groups.begin(), groups.end());
  wl::Address address;
  *address.mutable_workload() = workload;
  resource.body = Serialize(address);
  resource.version = VersionOf(resource.body);
  return resource;
}

Resource ToResource(const wl::Service& service) {
  Resource resource;
  resource.name = service.namespace_() + "/" + service.hostname();
  for (const wl::NetworkAddress& address : service.addresses()) {
    resource.aliases.push_back(AliasOf(address.network(), address.address()));
  }
  wl::Address address;
  *address.mutable_service() = service;
  resource.body = Serialize(address);
  resource.version = VersionOf(resource.body);
  return resource;
}

}  // namespace

void WorkloadIndex::Publish(Resource resource, Changes& changes) {
  std::string& version = versions_[resource.name];
  if (version == resource.version) return;
  version = resource.version;
  changes.put.push_back(std::make_shared<const Resource>(std::move(resource)));
}

void WorkloadIndex::Withdraw(const std::string& name, Changes& changes) {
  if (versions_.erase(name) > 0) changes.removed.push_back(name);
}

void WorkloadIndex::MapPod(const Space& space, const k8s::Pod& pod, Changes& changes) {
  const k8s::Namespace unknown{pod.namespace_name, {}, {}};
  auto workload = ToWorkload(names_, pod, space.object ? *space.object : unknown, space.services);
  if (workload) {
    Publish(ToResource(*workload), changes);
  } else {
    Withdraw(WorkloadUid(names_, pod), changes);
  }
}

void WorkloadIndex::MapAllPods(const Space& space, Changes& changes) {
  for (const auto& [name, pod] : space.pods) MapPod(space, *pod, changes);
}

void WorkloadIndex::DropIfEmpty(const std::string& name) {
  auto found = spaces_.find(name);
  if (found != spaces_.end() && found->second.Empty()) spaces_.erase(found);
}

Changes WorkloadIndex::PutNamespace(std::shared_ptr<const k8s::Namespace> object) {
  Changes changes;
  Space& space = spaces_[object->name];
  space.object = std::move(object);
  MapAllPods(space, changes);
  return changes;
}

Changes WorkloadIndex::RemoveNamespace(const std::string& name) {
  Changes changes;
  Space& space = spaces_[name];
  space.object = nullptr;
  MapAllPods(space, changes);
  DropIfEmpty(name);
  return changes;
}

Changes WorkloadIndex::PutPod(std::shared_ptr<const k8s::Pod> object) {
  Changes changes;
  Space& space = spaces_[object->namespace_name];
  MapPod(space, *object, changes);
  space.pods[object->name] = std::move(object);
  return changes;
}

Changes WorkloadIndex::RemovePod(const k8s::Pod& last) {
  Changes changes;
  spaces_[last.namespace_name].pods.erase(last.name);
  Withdraw(WorkloadUid(names_, last), changes);
  DropIfEmpty(last.namespace_name);
  return changes;
}

Changes WorkloadIndex::PutService(std::shared_ptr<const k8s::Service> object) {
  Changes changes;
  Space& space = spaces_[object->namespace_name];
  auto old = std::exchange(space.services[object->name], object);
  // The service first: a client then never sees an endpoint of a service that it does not know.
  Publish(ToResource(ToService(names_, *object)), changes);
  for (const auto& [name, pod] : space.pods) {
    if (Selects(*object, *pod) || (old && Selects(*old, *pod))) MapPod(space, *pod, changes);
  }
  return changes;
}

Changes WorkloadIndex::RemoveService(const k8s::Service& last) {
  Changes changes;
  Space& space = spaces_[last.namespace_name];
  space.services.erase(last.name);
  for (const auto& [name, pod] : space.pods) {
    if (Selects(last, *pod)) MapPod(space, *pod, changes);
  }
  Withdraw(ServiceName(names_, last), changes);
  DropIfEmpty(last.namespace_name);
  return changes;
}

}  // namespace ambit::index
