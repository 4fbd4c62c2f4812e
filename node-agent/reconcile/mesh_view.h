#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "lib/k8s/mesh_selection.h"
#include "lib/k8s/source.h"
#include "lib/observe/log.h"
#include "node-agent/reconcile/reconciler.h"

namespace ambit::reconcile {

// This node's pods and all namespaces, as a source announces them; hands each pod with its decision
// to the reconciler.
// Thread  the io_context's.
class MeshView : public k8s::Listener {
 public:
  struct Options {
    k8s::MeshSelection selection;
    redirect::Options redirect;  // the node's defaults
    std::string node_name;       // empty: pods of any node are ours
    net::NetnsId host;           // never a pod's namespace
  };
  struct Seen {
    std::shared_ptr<const k8s::Pod> pod;
    enroll::Decision decision;
  };

  // `on_synced` runs after everything that existed at start has been handed on.
  MeshView(boost::asio::io_context& io, Options options, Reconciler& reconciler, observe::Log& log,
           std::function<void()> on_synced);

  bool synced() const { return synced_; }
  // Null if the pod is not there; valid until the next event.
  const Seen* Find(const std::string& namespace_name, const std::string& name) const;
  // Returns at the next event of the source, or at `deadline`.
  boost::asio::awaitable<void> Changed(std::chrono::steady_clock::time_point deadline);
  // Tries the netns annotations again that led nowhere.
  void RetryAnnotations();

  void OnNamespace(std::shared_ptr<const k8s::Namespace> object) override;
  void OnNamespaceGone(const std::string& name) override;
  void OnPod(std::shared_ptr<const k8s::Pod> object) override;
  void OnPodGone(std::shared_ptr<const k8s::Pod> last) override;
  void OnService(std::shared_ptr<const k8s::Service>) override {}
  void OnServiceGone(std::shared_ptr<const k8s::Service>) override {}
  void OnSynced() override;

 private:
  bool Ours(const k8s::Pod& pod) const;
  void Judge(Seen& seen);
  void JudgeNamespace(const std::string& name);
  void TakeAnnotation(const k8s::Pod& pod);
  void Notify();

  boost::asio::io_context& io_;
  Options options_;
  Reconciler& reconciler_;
  observe::Log& log_;
  std::function<void()> on_synced_;
  std::map<std::string, std::shared_ptr<const k8s::Namespace>> namespaces_;
  std::map<std::string, Seen> pods_;             // by namespace/name
  std::map<std::string, std::string> reported_;  // what was said of a pod's annotations, by uid
  std::list<std::weak_ptr<boost::asio::steady_timer>> waiting_;
  bool synced_ = false;
};

}  // namespace ambit::reconcile
