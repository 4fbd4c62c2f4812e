#include "node-agent/reconcile/mesh_view.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace ambit::reconcile {
namespace {

namespace asio = boost::asio;

constexpr char kScope[] = "pods";

}  // namespace

MeshView::MeshView(asio::io_context& io, Options options, Reconciler& reconciler, observe::Log& log,
                   std::function<void()> on_synced)
    : io_(io),
      options_(std::move(options)),
      reconciler_(reconciler),
      log_(log),
      on_synced_(std::move(on_synced)) {}

const MeshView::Seen* MeshView::Find(const std::string& namespace_name,
                                     const std::string& name) const {
  auto found = pods_.find(namespace_name + "/" + name);
  return found == pods_.end() ? nullptr : &found->second;
}

bool MeshView::Ours(const k8s::Pod& pod) const {
  return options_.node_name.empty() || pod.node_name.empty() || pod.node_name == options_.node_name;
}

void MeshView::Judge(Seen& seen) {
  auto of_pod = namespaces_.find(seen.pod->namespace_name);
  const k8s::Namespace* known = of_pod == namespaces_.end() ? nullptr : of_pod->second.get();
  seen.decision = enroll::Decide(*seen.pod, known, options_.selection, options_.redirect);
  std::string warnings;
  for (const auto& warning : seen.decision.warnings) warnings += warning + "; ";
  if (!warnings.empty() && std::exchange(reported_[seen.pod->uid], warnings) != warnings) {
    log_.Warn(kScope, warnings, {{"pod", seen.pod->Key()}});
  }
  reconciler_.Observe(*seen.pod, seen.decision);
}

void MeshView::JudgeNamespace(const std::string& name) {
  for (auto& [key, seen] : pods_) {
    if (seen.pod->namespace_name == name) Judge(seen);
  }
}

void MeshView::OnNamespace(std::shared_ptr<const k8s::Namespace> object) {
  namespaces_[object->name] = object;
  JudgeNamespace(object->name);
  Notify();
}

void MeshView::OnNamespaceGone(const std::string& name) {
  namespaces_.erase(name);
  JudgeNamespace(name);
  Notify();
}

void MeshView::OnPod(std::shared_ptr<const k8s::Pod> object) {
  if (!Ours(*object)) return OnPodGone(std::move(object));
  Seen& seen = pods_[object->Key()];
  if (seen.pod != nullptr && seen.pod->uid != object->uid) {
    reported_.erase(seen.pod->uid);
    reconciler_.Gone(seen.pod->uid);
  }
  seen.pod = std::move(object);
  Judge(seen);
  TakeAnnotation(*seen.pod);
  Notify();
}

void MeshView::OnPodGone(std::shared_ptr<const k8s::Pod> last) {
  auto found = pods_.find(last->Key());
  if (found == pods_.end()) return;
  std::string uid = found->second.pod->uid;
  pods_.erase(found);
  reported_.erase(uid);
  reconciler_.Gone(uid);
  Notify();
}

void MeshView::OnSynced() {
  synced_ = true;
  on_synced_();
  Notify();
}

// What ADD has said is newer than what a manifest says, as long as it is still there.
void MeshView::TakeAnnotation(const k8s::Pod& pod) {
  auto annotation = pod.annotations.find(podns::kNetnsAnnotation);
  if (annotation == pod.annotations.end() || pod.Terminal()) return;
  const enroll::PodRecord* record = reconciler_.Find(pod.uid);
  if (record == nullptr) return;
  auto sandbox = podns::OpenSandbox(annotation->second, options_.host);
  if (!sandbox) {
    std::string text = sandbox.error().message();
    if (record->sandbox || std::exchange(reported_[pod.uid], text) == text) return;
    log_.Warn(kScope, "the annotation ambit.io/netns leads nowhere",
              {{"pod", pod.Key()}, {"error", text}});
    return;
  }
  if (record->sandbox) {
    bool same = record->sandbox->netns == sandbox->netns;
    if (same || podns::StillThere(*record->sandbox)) return;
  }
  reconciler_.Attach(pod.uid, std::move(*sandbox));
}

void MeshView::RetryAnnotations() {
  for (const auto& [key, seen] : pods_) TakeAnnotation(*seen.pod);
}

void MeshView::Notify() {
  for (const auto& weak : std::exchange(waiting_, {})) {
    if (auto timer = weak.lock()) timer->cancel();
  }
}

asio::awaitable<void> MeshView::Changed(std::chrono::steady_clock::time_point deadline) {
  auto timer = std::make_shared<asio::steady_timer>(io_);
  timer->expires_at(deadline);
  std::erase_if(waiting_, [](const auto& weak) { return weak.expired(); });
  waiting_.push_back(timer);
  boost::system::error_code ignored;
  co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace ambit::reconcile
