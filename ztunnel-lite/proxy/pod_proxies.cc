#include "ztunnel-lite/proxy/pod_proxies.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <latch>
#include <map>
#include <mutex>

#include "lib/net/netns.h"
#include "ztunnel-lite/proxy/listeners.h"
#include "ztunnel-lite/proxy/pod_proxy.h"
#include "ztunnel-lite/proxy/worker_thread.h"

namespace ambit::proxy {
namespace {

// How long connections may take to notice that they were cut.
constexpr std::chrono::milliseconds kCutTime{1000};

// One thread waits until each of `count` others has called Arrive().
class Countdown {
 public:
  explicit Countdown(size_t count) : left_(count) {}

  void Arrive() {
    std::lock_guard lock(mutex_);
    if (--left_ == 0) zero_.notify_all();
  }
  bool WaitFor(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return zero_.wait_for(lock, timeout, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  size_t left_;
};

// A pod's share of one worker.
struct Part {
  WorkerThread* worker;
  std::shared_ptr<PodProxy> proxy;
};

struct Entry {
  std::shared_ptr<const Pod> pod;
  std::vector<Part> parts;
};

// Parts are destroyed on their workers, so that the last reference goes there. Returns when their
// listeners are closed: the ports are free.
void StopParts(std::vector<Part> parts) {
  auto stopped = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(parts.size()));
  for (Part& part : parts) {
    boost::asio::post(part.worker->io(), [proxy = std::move(part.proxy), stopped]() mutable {
      proxy->Stop();
      proxy.reset();
      stopped->count_down();
    });
  }
  stopped->wait();
}

}  // namespace

class PodProxies::Impl {
 public:
  explicit Impl(Context context) : context_(context) {}
  ~Impl() { StopAll(); }

  Result<void> StartWorkers();
  Result<void> Start(const PodInfo& info, UniqueFd netns);
  Result<void> StartOwn(const PodInfo& info);
  void Stop(const std::string& uid);
  void Drain(std::chrono::milliseconds deadline);
  std::vector<PodInfo> List() const;
  void RecheckPolicies();
  void RecheckPeers();

 private:
  void Serve(std::shared_ptr<const Pod> pod, std::vector<Listeners> bound);
  void StopAll();
  std::vector<Part> AllParts() const;

  Context context_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::map<std::string, Entry> pods_;
  size_t next_home_ = 0;
  bool draining_ = false;
};

Result<void> PodProxies::Impl::StartWorkers() {
  std::vector<std::shared_ptr<ChangeSignal>> signals;
  for (int i = 0; i < std::max(context_.config.worker_threads, 1); ++i) {
    auto worker = WorkerThread::Start(i);
    if (!worker) return Fail(worker.error());
    signals.push_back((*worker)->mesh_changed());
    workers_.push_back(std::move(*worker));
  }
  // The registration outlives this object; a signal nobody watches any more does nothing.
  context_.mesh.OnChange([signals = std::move(signals)](state::MeshState::Batch batch) {
    if (!batch.workloads) return;
    for (const auto& signal : signals) ChangeSignal::Raise(signal);
  });
  return {};
}

Result<void> PodProxies::Impl::Start(const PodInfo& info, UniqueFd netns) {
  if (draining_) return Fail(ErrorCode::kCancelled, "the tunnel is draining");
  auto id = netns.valid() ? net::IdentifyNetns(netns.get()) : Result<net::NetnsId>();
  if (!id) return Fail(id.error().Wrap("pod " + info.ns + "/" + info.name));
  auto present = pods_.find(info.uid);
  if (present != pods_.end() && present->second.pod->netns_id == *id) return {};
  auto bound = BindListeners(context_.config, netns.get(), static_cast<int>(workers_.size()));
  if (!bound) return Fail(bound.error().Wrap("pod " + info.ns + "/" + info.name));
  if (present != pods_.end()) Stop(info.uid);
  Serve(std::make_shared<Pod>(info, std::move(netns), *id, context_), std::move(*bound));
  return {};
}

Result<void> PodProxies::Impl::StartOwn(const PodInfo& info) {
  auto netns = net::OpenOwnNetns();
  if (!netns) return Fail(netns.error());
  auto id = net::IdentifyNetns(netns->get());
  if (!id) return Fail(id.error());
  auto own = BindOwnListener(context_.config);
  if (!own) return Fail(own.error());
  std::vector<Listeners> bound;
  bound.push_back(std::move(*own));
  Serve(std::make_shared<Pod>(info, std::move(*netns), *id, context_), std::move(bound));
  return {};
}

void PodProxies::Impl::Serve(std::shared_ptr<const Pod> pod, std::vector<Listeners> bound) {
  Entry entry{.pod = std::move(pod), .parts = {}};
  // The first set also serves DNS, so that questions of different pods go to different workers.
  size_t home = next_home_++;
  for (auto& listeners : bound) {
    WorkerThread& worker = *workers_[home++ % workers_.size()];
    auto proxy = std::make_shared<PodProxy>(worker, entry.pod, std::move(listeners));
    boost::asio::post(worker.io(), [proxy] { proxy->Serve(); });
    entry.parts.push_back({&worker, std::move(proxy)});
  }
  pods_.emplace(entry.pod->info.uid, std::move(entry));
}

void PodProxies::Impl::Stop(const std::string& uid) {
  auto present = pods_.find(uid);
  if (present == pods_.end()) return;
  auto parts = std::move(present->second.parts);
  pods_.erase(present);
  StopParts(std::move(parts));
}

std::vector<Part> PodProxies::Impl::AllParts() const {
  std::vector<Part> parts;
  for (const auto& [uid, entry] : pods_) {
    parts.insert(parts.end(), entry.parts.begin(), entry.parts.end());
  }
  return parts;
}

void PodProxies::Impl::StopAll() {
  auto parts = AllParts();
  pods_.clear();
  StopParts(std::move(parts));
}

void PodProxies::Impl::Drain(std::chrono::milliseconds deadline) {
  draining_ = true;
  auto parts = AllParts();
  if (parts.empty()) return;
  auto countdown = std::make_shared<Countdown>(parts.size());
  for (const Part& part : parts) {
    boost::asio::post(part.worker->io(), [proxy = part.proxy, countdown] {
      proxy->BeginDrain([countdown] { countdown->Arrive(); });
    });
  }
  parts.clear();
  bool empty = countdown->WaitFor(deadline);
  StopAll();
  if (!empty) countdown->WaitFor(kCutTime);
}

std::vector<PodInfo> PodProxies::Impl::List() const {
  std::vector<PodInfo> pods;
  for (const auto& [uid, entry] : pods_) pods.push_back(entry.pod->info);
  return pods;
}

void PodProxies::Impl::RecheckPolicies() {
  for (const Part& part : AllParts()) {
    boost::asio::post(part.worker->io(), [proxy = part.proxy] { proxy->RecheckPolicies(); });
  }
}

void PodProxies::Impl::RecheckPeers() {
  for (const auto& worker : workers_) {
    boost::asio::post(worker->io(),
                      [target = worker.get()] { hbone::EndRevokedTunnels(target->worker()); });
  }
}

Result<std::unique_ptr<PodProxies>> PodProxies::Create(Context context) {
  auto impl = std::make_unique<Impl>(context);
  if (auto started = impl->StartWorkers(); !started) return Fail(started.error());
  return std::unique_ptr<PodProxies>(new PodProxies(std::move(impl)));
}

PodProxies::PodProxies(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PodProxies::~PodProxies() = default;

Result<void> PodProxies::Start(const PodInfo& pod, UniqueFd netns) {
  return impl_->Start(pod, std::move(netns));
}
Result<void> PodProxies::StartOwn(const PodInfo& pod) { return impl_->StartOwn(pod); }
void PodProxies::Stop(const std::string& uid) { impl_->Stop(uid); }
void PodProxies::Drain(std::chrono::milliseconds deadline) { impl_->Drain(deadline); }
std::vector<PodInfo> PodProxies::List() const { return impl_->List(); }
void PodProxies::RecheckPolicies() { impl_->RecheckPolicies(); }
void PodProxies::RecheckPeers() { impl_->RecheckPeers(); }

}  // namespace ambit::proxy
