#pragma once

#include <memory>
#include <string>

#include "lib/base/error.h"
#include "lib/k8s/objects.h"

namespace ambit::k8s {

// Receives what a source of objects sees. All calls come on the thread of the io_context that the
// source was given, one at a time. An object is announced again only when it differs.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnNamespace(std::shared_ptr<const Namespace> object) = 0;
  virtual void OnNamespaceGone(const std::string& name) = 0;
  // `object` replaces what had the same namespace and name; another uid means another pod.
  virtual void OnPod(std::shared_ptr<const Pod> object) = 0;
  // With the last state that was seen.
  virtual void OnPodGone(std::shared_ptr<const Pod> last) = 0;
  virtual void OnService(std::shared_ptr<const Service> object) = 0;
  virtual void OnServiceGone(std::shared_ptr<const Service> last) = 0;
  // Everything that existed at start has been announced. Once.
  virtual void OnSynced() = 0;
};

// A source of Kubernetes objects: a folder of manifests, an API server. It starts when Start is
// called and ends with its destructor; both on the io_context's thread.
class Source {
 public:
  virtual ~Source() = default;
  // The listener outlives the source.
  virtual Result<void> Start(Listener& listener) = 0;
};

}  // namespace ambit::k8s
