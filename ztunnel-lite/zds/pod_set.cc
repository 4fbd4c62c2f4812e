#include "ztunnel-lite/zds/pod_set.h"

namespace ambit::zds {

namespace {

prometheus::Gauge& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Counter& Counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

PodSet::PodSet(PodHandler& handler, observe::Readiness& readiness, prometheus::Registry& metrics)
    : handler_(handler),
      readiness_(readiness),
      active_count_(Gauge(metrics, "workload_manager_active_proxy_count",
                          "The total number current workloads with active proxies (unstable).")),
      pending_count_(Gauge(metrics, "workload_manager_pending_proxy_count",
                           "The total number current workloads with pending proxies (unstable).")),
      started_(Counter(metrics, "workload_manager_proxies_started_total",
                       "The total number of proxies that were started (unstable).")),
      stopped_(Counter(metrics, "workload_manager_proxies_stopped_total",
                       "The total number of proxies that were stopped (unstable).")) {
  Publish();
}

void PodSet::Connected() {
  connected_ = true;
  snapshot_received_ = false;
  seen_.clear();
  // The agent sends them again.
  pending_.clear();
  Publish();
}

void PodSet::Disconnected() {
  connected_ = false;
  Publish();
}

Result<void> PodSet::Handle(Message message) {
  auto handled = std::visit([this](auto& value) { return On(std::move(value)); }, message);
  Publish();
  return handled;
}

Result<void> PodSet::On(AddPod add) {
  if (!snapshot_received_) seen_.insert(add.pod.uid);
  return Start(add.pod, std::move(add.netns));
}

Result<void> PodSet::Start(const Pod& pod, UniqueFd netns) {
  auto spare = netns.Duplicate();
  auto started = handler_.Start(pod, std::move(netns));
  if (!started) {
    active_.erase(pod.uid);
    // Without a descriptor to spare there is nothing to try again with; the agent will resend.
    if (spare) pending_.insert_or_assign(pod.uid, AddPod{pod, std::move(*spare)});
    return started;
  }
  pending_.erase(pod.uid);
  if (active_.insert_or_assign(pod.uid, pod).second) started_.Increment();
  return {};
}

Result<void> PodSet::On(KeepPod keep) {
  if (snapshot_received_) {
    return Fail(ErrorCode::kProtocol, "KeepWorkload is not allowed after SnapshotSent");
  }
  seen_.insert(keep.uid);
  return {};
}

Result<void> PodSet::On(DeletePod del) {
  pending_.erase(del.uid);
  if (snapshot_received_) {
    Stop(del.uid);
  } else {
    seen_.erase(del.uid);  // stopped with the end of the snapshot
  }
  return {};
}

Result<void> PodSet::On(SnapshotSent) {
  if (snapshot_received_) return Fail(ErrorCode::kProtocol, "SnapshotSent came a second time");
  snapshot_received_ = true;
  std::vector<std::string> gone;
  for (const auto& [uid, pod] : active_) {
    if (!seen_.contains(uid)) gone.push_back(uid);
  }
  for (const auto& uid : gone) Stop(uid);
  seen_.clear();
  return {};
}

void PodSet::Stop(const std::string& uid) {
  if (active_.erase(uid) == 0) return;
  handler_.Stop(uid);
  stopped_.Increment();
}

std::vector<Error> PodSet::RetryPending() {
  std::map<std::string, AddPod> retried = std::exchange(pending_, {});
  std::vector<Error> errors;
  for (auto& [uid, add] : retried) {
    auto started = Start(add.pod, std::move(add.netns));
    if (!started) errors.push_back(started.error().Wrap("pod " + add.pod.ns + "/" + add.pod.name));
  }
  Publish();
  return errors;
}

std::map<std::string, std::pair<Pod, bool>> PodSet::List() const {
  std::map<std::string, std::pair<Pod, bool>> out;
  for (const auto& [uid, pod] : active_) out[uid] = {pod, true};
  for (const auto& [uid, add] : pending_) out[uid] = {add.pod, false};
  return out;
}

void PodSet::Publish() {
  active_count_.Set(static_cast<double>(active_.size()));
  pending_count_.Set(static_cast<double>(pending_.size()));
  if (connected_ && snapshot_received_ && pending_.empty()) {
    readiness_.MarkReady(kReadinessTask);
  } else {
    readiness_.MarkPending(kReadinessTask);
  }
}

}  // namespace ambit::zds
