#include "lib/k8s/manifest_set.h"

#include <utility>

namespace ambit::k8s {
namespace {

template <typename T>
using Table = std::map<std::string, std::shared_ptr<const T>, std::less<>>;

std::string KeyOf(const Namespace& object) { return object.name; }
std::string KeyOf(const Pod& object) { return object.Key(); }
std::string KeyOf(const Service& object) { return object.Key(); }

const char* KindOf(const Namespace&) { return "Namespace "; }
const char* KindOf(const Pod&) { return "Pod "; }
const char* KindOf(const Service&) { return "Service "; }

template <typename T>
void AddAll(const std::string& file, const std::vector<std::shared_ptr<const T>>& objects,
            Table<T>& table, std::set<std::string>& conflicts) {
  for (const auto& object : objects) {
    std::string key = KeyOf(*object);
    if (!table.emplace(key, object).second) {
      conflicts.insert(KindOf(*object) + key + " in " + file +
                       " is ignored: an earlier file or document defines it already");
    }
  }
}

template <typename T, typename Report>
void ReportNew(const Table<T>& before, Table<T>& after, Report report) {
  for (auto& [key, object] : after) {
    auto old = before.find(key);
    if (old != before.end() && (old->second == object || *old->second == *object)) {
      // Keeps the published value alive, so that the next comparison is one of pointers.
      object = old->second;
    } else {
      report(object);
    }
  }
}

template <typename T, typename Report>
void ReportGone(const Table<T>& before, const Table<T>& after, Report report) {
  for (const auto& [key, object] : before) {
    if (!after.contains(key)) report(object);
  }
}

}  // namespace

void ManifestSet::Put(const std::string& file, std::vector<Object> objects) {
  Shared& shared = files_[file] = Shared{};
  for (Object& object : objects) {
    if (auto* of_pods = std::get_if<Namespace>(&object)) {
      shared.namespaces.push_back(std::make_shared<const Namespace>(std::move(*of_pods)));
    } else if (auto* pod = std::get_if<Pod>(&object)) {
      shared.pods.push_back(std::make_shared<const Pod>(std::move(*pod)));
    } else if (auto* service = std::get_if<Service>(&object)) {
      shared.services.push_back(std::make_shared<const Service>(std::move(*service)));
    }
  }
}

void ManifestSet::Remove(const std::string& file) { files_.erase(file); }

std::set<std::string> ManifestSet::Files() const {
  std::set<std::string> names;
  for (const auto& [name, objects] : files_) names.insert(name);
  return names;
}

ManifestSet::View ManifestSet::Merge(std::set<std::string>& conflicts) const {
  View view;
  for (const auto& [file, shared] : files_) {
    AddAll(file, shared.namespaces, view.namespaces, conflicts);
    AddAll(file, shared.pods, view.pods, conflicts);
    AddAll(file, shared.services, view.services, conflicts);
  }
  return view;
}

std::vector<std::string> ManifestSet::Announce(Listener& listener) {
  std::set<std::string> conflicts;
  View after = Merge(conflicts);
  View before = std::exchange(announced_, {});
  ReportNew(before.namespaces, after.namespaces,
            [&](const auto& object) { listener.OnNamespace(object); });
  ReportNew(before.pods, after.pods, [&](const auto& object) { listener.OnPod(object); });
  ReportNew(before.services, after.services,
            [&](const auto& object) { listener.OnService(object); });
  ReportGone(before.services, after.services,
             [&](const auto& object) { listener.OnServiceGone(object); });
  ReportGone(before.pods, after.pods, [&](const auto& object) { listener.OnPodGone(object); });
  ReportGone(before.namespaces, after.namespaces,
             [&](const auto& object) { listener.OnNamespaceGone(object->name); });
  announced_ = std::move(after);
  std::vector<std::string> fresh;
  for (const std::string& text : conflicts) {
    if (!reported_conflicts_.contains(text)) fresh.push_back(text);
  }
  reported_conflicts_ = std::move(conflicts);
  return fresh;
}

}  // namespace ambit::k8s
