#include "node-agent/reconcile/reconciler.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "node-agent/reconcile/entry.h"

namespace ambit::reconcile {
namespace {

namespace asio = boost::asio;
using enroll::State;
using enroll::Step;
using enroll::Wish;

constexpr char kScope[] = "enroll";

zds::Workload WorkloadOf(const enroll::PodRecord& record) {
  zds::Workload workload{.uid = record.uid,
                         .identity = {record.name, record.namespace_name, record.service_account}};
  if (record.sandbox) {
    workload.netns = record.sandbox->handle;
    workload.netns_id = record.sandbox->netns;
  }
  return workload;
}

bool Wanted(const enroll::PodRecord& record) { return record.decision.wish == Wish::kCaptured; }

// Failures 1, 2, 4, 8 … are logged: a tunnel that is away for hours must not fill the disk.
bool WorthALine(int failures) { return (failures & (failures - 1)) == 0; }

}  // namespace

Reconciler::Reconciler(asio::io_context& io, Effects& effects, const Clock& clock,
                       observe::Log& log, EnrolmentMetrics& metrics, Options options, Save save)
    : io_(io),
      effects_(effects),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      options_(options),
      save_(std::move(save)) {}

Reconciler::~Reconciler() {
  *alive_ = false;
  for (auto& [uid, entry] : entries_) {
    entry->backoff.cancel();
    EndWaits(*entry, Fail(ErrorCode::kCancelled, "the agent is stopping"));
  }
}

Reconciler::Entry& Reconciler::Get(const std::string& uid) {
  auto& entry = entries_[uid];
  if (entry == nullptr) {
    entry = std::make_shared<Entry>(io_);
    entry->record.uid = uid;
  }
  return *entry;
}

void Reconciler::Observe(const k8s::Pod& pod, enroll::Decision decision) {
  Entry& entry = Get(pod.uid);
  entry.observed = true;
  enroll::PodRecord& record = entry.record;
  record.namespace_name = pod.namespace_name;
  record.name = pod.name;
  record.service_account = pod.service_account;
  // A last status may have lost the addresses, which the probe set still has.
  if (!pod.ips.empty()) record.status_ips = pod.ips;
  bool was_wanted = Wanted(record);
  enroll::SetDecision(record, std::move(decision));
  if (Wanted(record) != was_wanted) {
    log_.Info(kScope, was_wanted ? "pod is to leave the mesh" : "pod is to join the mesh",
              {{"pod", record.Key()}, {"reason", record.decision.reason}});
    Interrupt(entry);
  }
  // Held here: a pod that has ended is forgotten at once.
  auto held = entries_.at(pod.uid);
  Drive(held);
}

void Reconciler::Gone(const std::string& uid) {
  auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  auto entry = found->second;
  enroll::SetDecision(entry->record, {.wish = Wish::kGone, .reason = "the pod was deleted"});
  Interrupt(*entry);
  Drive(entry);
}

void Reconciler::Restore(const podns::SavedPod& saved) {
  enroll::PodRecord& record = Get(saved.uid).record;
  record.namespace_name = saved.namespace_name;
  record.name = saved.name;
  record.sandbox = saved.sandbox;
  if (saved.rules) {
    record.touched = saved.sandbox.netns;
    record.programmed = true;
  }
}

// A tunnel forgets what its snapshot does not name, and the probe set what it is not given:
// whatever may be running must be in both from the start.
void Reconciler::Remember(Entry& entry) {
  enroll::PodRecord& record = entry.record;
  if (record.decision.wish != Wish::kCaptured && record.decision.wish != Wish::kUnknown) return;
  if (record.sandbox && record.programmed) {
    effects_.TunnelSet(WorkloadOf(record));
    record.told = record.sandbox->netns;
    record.probed = enroll::ProbeAddresses(record);
    effects_.ExpectProbes(record.uid, record.probed);
  } else if (!record.sandbox && Wanted(record)) {
    effects_.TunnelSet(WorkloadOf(record));
    record.kept = true;
  }
}

void Reconciler::Begin() {
  working_ = true;
  auto entries = entries_;
  for (auto& [uid, entry] : entries) {
    if (!entry->observed) {
      enroll::SetDecision(entry->record,
                          {.wish = Wish::kGone, .reason = "the pod is not there any more"});
    }
    Remember(*entry);
  }
  for (auto& [uid, entry] : entries) Drive(entry);
}

void Reconciler::VerifyAll() {
  auto entries = entries_;
  for (auto& [uid, entry] : entries) {
    if (entry->record.running == Step::kNone) entry->record.verified = false;
    Drive(entry);
  }
}

// A wait for the tunnel would hold up what is wished now.
void Reconciler::Interrupt(Entry& entry) {
  Wish wish = entry.record.decision.wish;
  if (wish != Wish::kOutside && wish != Wish::kGone) return;
  EndTunnelAdd(entry);
  EndWaits(entry, Fail(ErrorCode::kCancelled, entry.record.decision.reason));
}

void Reconciler::EndTunnelAdd(Entry& entry) {
  if (entry.record.running != Step::kTunnelAdd) return;
  entry.interrupted = true;
  effects_.TunnelDel(entry.record.uid);
}

void Reconciler::ReplaceSandbox(Entry& entry, std::optional<podns::Sandbox> sandbox,
                                const char* why) {
  bool same = entry.record.sandbox && sandbox && entry.record.sandbox->netns == sandbox->netns;
  if (!same) {
    std::erase_if(offers_, [&](const auto& offer) { return offer.second.uid == entry.record.uid; });
    EndWaits(entry, Fail(ErrorCode::kCancelled, why));
    EndTunnelAdd(entry);
    entry.enrolling_since.reset();
    entry.backoff.cancel();
  }
  enroll::SetSandbox(entry.record, std::move(sandbox));
  ScheduleSave();
}

void Reconciler::Attach(const std::string& uid, podns::Sandbox sandbox) {
  auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  auto entry = found->second;
  ReplaceSandbox(*entry, std::move(sandbox), "another sandbox of the pod has taken its place");
  Drive(entry);
}

void Reconciler::Detach(const std::string& uid, const net::NetnsId& netns) {
  auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  auto entry = found->second;
  if (!entry->record.sandbox || entry->record.sandbox->netns != netns) return;
  ReplaceSandbox(*entry, std::nullopt, "the pod's sandbox has ended");
  Drive(entry);
}

void Reconciler::Refresh(Entry& entry) {
  State state = enroll::StateOf(entry.record);
  if (state == entry.counted_as) return;
  if (entry.counted_as) metrics_.Leave(*entry.counted_as);
  metrics_.Enter(state);
  if (state == State::kOutside && entry.counted_as == State::kRemoving) {
    log_.Info(kScope, "pod has left the mesh", {{"pod", entry.record.Key()}});
  }
  entry.counted_as = state;
  if (Wanted(entry.record) && entry.record.sandbox && state != State::kEnrolled) {
    if (!entry.enrolling_since) entry.enrolling_since = clock_.Steady();
  }
  if (state == State::kEnrolled && entry.enrolling_since) {
    auto took = clock_.Steady() - *entry.enrolling_since;
    metrics_.Enrolled(took);
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    log_.Info(kScope, "pod is enrolled",
              {{"pod", entry.record.Key()}, {"took_us", static_cast<int64_t>(us)}});
  }
  if (state == State::kEnrolled || state == State::kOutside) entry.enrolling_since.reset();
  if (state == State::kWaitingForNetns && working_ && !entry.reported_missing_netns) {
    entry.reported_missing_netns = true;
    log_.Info(
        kScope,
        "pod is labelled but its network namespace is not known; it joins at its next ADD, or "
        "when annotation ambit.io/netns names the namespace",
        {{"pod", entry.record.Key()}});
  }
}

void Reconciler::EndWaits(Entry& entry, const Result<void>& result) {
  for (const auto& waiter : std::exchange(entry.waiters, {})) {
    waiter->result = result;
    waiter->timer.cancel();
  }
}

void Reconciler::Drive(const std::shared_ptr<Entry>& entry) {
  Refresh(*entry);
  if (enroll::Enrolled(entry->record)) EndWaits(*entry, {});
  if (!working_) return;
  Step step = enroll::Next(entry->record);
  if (step == Step::kNone) return;
  if (step == Step::kForget) return Forget(entry);
  enroll::Begin(entry->record, step);
  ++running_;
  asio::co_spawn(io_, Run(entry, step), asio::detached);
}

void Reconciler::Forget(const std::shared_ptr<Entry>& entry) {
  EndWaits(*entry, Fail(ErrorCode::kCancelled, entry->record.decision.reason));
  if (entry->counted_as) metrics_.Leave(*entry->counted_as);
  entry->backoff.cancel();
  entries_.erase(entry->record.uid);
  ScheduleSave();
}

asio::awaitable<Result<void>> Reconciler::Verify(std::shared_ptr<Entry> entry) {
  auto sandbox = *entry->record.sandbox;
  auto differences = co_await effects_.Verify(sandbox.handle, entry->record.decision.options);
  if (!differences) co_return Fail(differences.error());
  if (differences->empty()) co_return Result<void>{};
  metrics_.Repaired();
  for (const auto& difference : *differences) {
    log_.Warn(kScope, "rules of a running pod differ and are repaired",
              {{"pod", entry->record.Key()}, {"difference", difference}});
  }
  if (entry->record.sandbox && entry->record.sandbox->netns == sandbox.netns) {
    enroll::Distrust(entry->record);
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Reconciler::Perform(std::shared_ptr<Entry> entry, Step step,
                                                  std::set<net::IpAddress> addresses) {
  enroll::PodRecord& record = entry->record;
  switch (step) {
    case Step::kVerify:
      co_return co_await Verify(entry);
    case Step::kProgram:
      co_return co_await effects_.Program(record.sandbox->handle, record.decision.options);
    case Step::kRepair:
      co_return co_await effects_.Repair(record.sandbox->handle, record.decision.options);
    case Step::kUndo:
      co_return co_await effects_.Undo(record.sandbox->handle);
    case Step::kTunnelAdd:
      co_return co_await effects_.TunnelAdd(WorkloadOf(record), options_.tunnel_timeout);
    case Step::kProbes:
      co_return co_await effects_.SetProbes(record.uid, std::move(addresses));
    case Step::kTunnelDel:
      effects_.TunnelDel(record.uid);
      break;
    case Step::kNone:
    case Step::kForget:
      break;
  }
  co_return Result<void>{};
}

asio::awaitable<void> Reconciler::Run(std::shared_ptr<Entry> entry, Step step) {
  enroll::PodRecord& record = entry->record;
  std::optional<net::NetnsId> begun_for;
  if (record.sandbox) begun_for = record.sandbox->netns;
  std::set<net::IpAddress> addresses;
  if (Wanted(record) && record.sandbox) addresses = enroll::ProbeAddresses(record);
  auto result = co_await Perform(entry, step, addresses);
  --running_;
  // Its tunnels have been told to forget the pod again, whatever they said before.
  if (std::exchange(entry->interrupted, false)) {
    result = Fail(ErrorCode::kCancelled, "the pod changed meanwhile");
  }
  // A verification that found differences has ended the step itself.
  bool ended = step == Step::kVerify && record.running == Step::kNone;
  if (!result) {
    OnFailure(entry, step, result.error());
  } else if (!ended) {
    enroll::Succeed(record, step, begun_for, addresses);
  }
  if (result && step == Step::kRepair) {
    log_.Info(kScope, "rules of a running pod are as they should be again",
              {{"pod", record.Key()}});
  }
  if (step == Step::kProgram || step == Step::kRepair || step == Step::kUndo) ScheduleSave();
  Drive(entry);
}

void Reconciler::OnFailure(const std::shared_ptr<Entry>& entry, Step step, const Error& error) {
  enroll::PodRecord& record = entry->record;
  if (error.code() == ErrorCode::kCancelled) {
    record.running = Step::kNone;
    return;
  }
  enroll::FailStep(record, step);
  metrics_.Failed(step);
  if (WorthALine(record.failures)) {
    log_.Warn(kScope, "a step failed and will be tried again",
              {{"pod", record.Key()},
               {"step", enroll::StepName(step)},
               {"failures", static_cast<int64_t>(record.failures)},
               {"error", error.message()}});
  }
  StartBackoff(entry);
  EndWaits(*entry, Fail(error));
}

void Reconciler::StartBackoff(const std::shared_ptr<Entry>& entry) {
  auto delay = options_.first_backoff * (1 << std::min(entry->record.failures - 1, 10));
  if (delay > options_.last_backoff) delay = options_.last_backoff;
  std::uniform_real_distribution<double> jitter(0.8, 1.2);
  entry->backoff.expires_after(
      std::chrono::duration_cast<std::chrono::milliseconds>(delay * jitter(random_)));
  entry->backoff.async_wait(
      [this, alive = alive_, entry](const boost::system::error_code& cancelled) {
        if (cancelled || !*alive) return;
        entry->record.backing_off = false;
        Drive(entry);
      });
}

void Reconciler::ScheduleSave() {
  if (save_scheduled_) return;
  save_scheduled_ = true;
  asio::post(io_, [this, alive = alive_] {
    if (!*alive) return;
    save_scheduled_ = false;
    std::vector<podns::SavedPod> pods;
    for (const auto& [uid, entry] : entries_) {
      const enroll::PodRecord& record = entry->record;
      if (!record.sandbox) continue;
      bool rules = record.touched == record.sandbox->netns;
      pods.push_back({uid, record.namespace_name, record.name, *record.sandbox, rules});
    }
    save_(pods);
  });
}

const enroll::PodRecord* Reconciler::Find(const std::string& uid) const {
  auto found = entries_.find(uid);
  return found == entries_.end() ? nullptr : &found->second->record;
}

std::vector<enroll::PodRecord> Reconciler::Records() const {
  std::vector<enroll::PodRecord> records;
  for (const auto& [uid, entry] : entries_) records.push_back(entry->record);
  return records;
}

}  // namespace ambit::reconcile
