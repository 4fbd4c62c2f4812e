#pragma once

#include <memory>
#include <string>
#include <utility>

#include "lib/k8s/manifest.h"

namespace ambit::index {

// The one object of a YAML text, for tests.
template <typename T>
std::shared_ptr<const T> ObjectOf(const std::string& yaml) {
  auto read = k8s::ParseManifest("test.yaml", yaml);
  if (!read || read->objects.size() != 1 || !std::holds_alternative<T>(read->objects.front())) {
    return nullptr;
  }
  return std::make_shared<const T>(std::get<T>(std::move(read->objects.front())));
}

inline std::shared_ptr<const k8s::Pod> PodOf(const std::string& yaml) {
  return ObjectOf<k8s::Pod>("kind: Pod\n" + yaml);
}
inline std::shared_ptr<const k8s::Service> ServiceOf(const std::string& yaml) {
  return ObjectOf<k8s::Service>("kind: Service\n" + yaml);
}
inline std::shared_ptr<const k8s::Namespace> NamespaceOf(const std::string& yaml) {
  return ObjectOf<k8s::Namespace>("kind: Namespace\n" + yaml);
}

}  // namespace ambit::index
