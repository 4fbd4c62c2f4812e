#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "ztunnel-lite/state/mesh_state.h"

namespace ambit::identity {

// Which identities the pods of this node have: the trust domain as the control plane says it, the
// rest as ZDS says it. Cost of an update grows with the pods of the node, not with the mesh.
// Thread  control.
class LocalIdentities {
 public:
  struct Events {
    std::function<void(const state::Identity&)> appeared;     // the first pod with it
    std::function<void(const state::Identity&)> disappeared;  // no pod has it any more
  };

  // `mesh` outlives the object.
  LocalIdentities(const state::MeshState& mesh, std::string node, Events events)
      : mesh_(mesh), node_(std::move(node)), events_(std::move(events)) {}

  void Add(const std::string& uid, const std::string& ns, const std::string& name,
           const std::string& service_account);
  void Remove(const std::string& uid);
  // The mesh has changed: pods it did not know may be known now.
  void Refresh();

 private:
  struct Pod {
    std::string ns, name, service_account;
    std::optional<state::Identity> identity;
  };
  void Resolve(Pod& pod);
  void Assign(Pod& pod, std::optional<state::Identity> identity);

  const state::MeshState& mesh_;
  const std::string node_;
  const Events events_;
  std::map<std::string, Pod> pods_;
  std::map<state::Identity, int> counts_;
};

}  // namespace ambit::identity
