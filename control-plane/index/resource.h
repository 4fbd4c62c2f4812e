#pragma once

#include <memory>
#include <string>
#include <vector>

// Purpose  one resource of the Workload API as it goes onto the wire. Threads  values, published as
//          shared_ptr<const Resource>.
namespace ambit::index {

inline constexpr char kAddressType[] = "type.googleapis.com/istio.workload.Address";
inline constexpr char kAuthorizationType[] = "type.googleapis.com/istio.security.Authorization";

struct Resource {
  std::string name;     // workload uid or "namespace/hostname"
  std::string version;  // hash of the body: the same content has the same version after a restart
  std::string body;     // serialized message of the type, deterministic
  std::vector<std::string> aliases;  // "network/ip" of every address
  std::vector<std::string> groups;   // for a workload, the names of the services it belongs to
};

struct Changes {
  std::vector<std::shared_ptr<const Resource>> put;
  std::vector<std::string> removed;
  bool empty() const { return put.empty() && removed.empty(); }
};

}  // namespace ambit::index
