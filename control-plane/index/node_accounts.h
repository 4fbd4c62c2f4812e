#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "lib/k8s/objects.h"

namespace ambit::index {

// Which service accounts have a running pod on which node: what a node may ask certificates for.
// Thread  any.
class NodeAccounts {
 public:
  // Replaces what the pod of that name said. A pod that has ended counts no more.
  void Put(const k8s::Pod& pod);
  void Remove(const k8s::Pod& pod);
  bool Runs(std::string_view node, std::string_view namespace_name,
            std::string_view service_account) const;

 private:
  struct Place {
    std::string node;
    std::string account;
    auto operator<=>(const Place&) const = default;
  };
  void Forget(const std::string& pod_key);

  mutable std::mutex mutex_;
  std::map<std::string, Place> of_pod_;
  std::map<Place, int> pods_at_;
};

}  // namespace ambit::index
