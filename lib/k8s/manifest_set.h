#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/k8s/object_json.h"
#include "lib/k8s/source.h"

// Purpose  what several files of objects say together, and what changed since it was last asked.
//          Pure. Threads  one.
namespace ambit::k8s {

class ManifestSet {
 public:
  // Replaces what the file held. The change is seen by the next Announce.
  void Put(const std::string& file, std::vector<Object> objects);
  void Remove(const std::string& file);
  std::set<std::string> Files() const;

  // Tells the listener every difference since the last call: namespaces, pods and services that are
  // new or different, then services, pods and namespaces that are gone.
  // Returns  a sentence for each object that several places define and that was not reported yet;
  //          the first file by name wins, and within one file the first object.
  std::vector<std::string> Announce(Listener& listener);

 private:
  template <typename T>
  using Table = std::map<std::string, std::shared_ptr<const T>, std::less<>>;

  struct View {
    Table<Namespace> namespaces;
    Table<Pod> pods;
    Table<Service> services;
  };
  struct Shared {
    std::vector<std::shared_ptr<const Namespace>> namespaces;
    std::vector<std::shared_ptr<const Pod>> pods;
    std::vector<std::shared_ptr<const Service>> services;
  };

  View Merge(std::set<std::string>& conflicts) const;

  std::map<std::string, Shared> files_;
  View announced_;
  std::set<std::string> reported_conflicts_;
};

}  // namespace ambit::k8s
