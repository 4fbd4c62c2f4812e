#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/k8s/objects.h"
#include "lib/observe/log.h"
#include "node-agent/enroll/pod_record.h"
#include "node-agent/podns/state_file.h"
#include "node-agent/reconcile/effects.h"
#include "node-agent/reconcile/enrolment_metrics.h"

// Purpose  drives each pod of the node to where its labels want it: runs the step that its record
//          names, one at a time per pod and all pods at the same time; tries again what failed.
// Threads  the io_context's single thread.
// Errors   a failed step is logged with its reason, counted, and tried again with backoff; whoever
//          waits for the pod gets the error at once.
namespace ambit::reconcile {

struct Options {
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds last_backoff{15000};
  // For pods that nobody waits for.
  std::chrono::milliseconds tunnel_timeout{10000};
  // A plugin that was given a program and neither commits nor aborts is taken for dead.
  std::chrono::milliseconds offer_timeout{30000};
};

class Reconciler {
 public:
  using Save = std::function<void(const std::vector<podns::SavedPod>&)>;
  // Everything referred to outlives it; `save` is called when what a restarted agent has to know
  // has changed.
  Reconciler(boost::asio::io_context& io, Effects& effects, const Clock& clock, observe::Log& log,
             EnrolmentMetrics& metrics, Options options, Save save);
  ~Reconciler();

  // --- from the source of pods
  void Observe(const k8s::Pod& pod, enroll::Decision decision);
  void Gone(const std::string& uid);

  // --- at start: what an earlier agent has saved, before anything is observed
  void Restore(const podns::SavedPod& saved);
  // All that exists has been observed: tunnels are told of what runs, and work begins. A restored
  // pod that was not observed is gone.
  void Begin();
  // Nothing is begun from here on; what runs ends by itself.
  void Stop() { working_ = false; }
  // Steps that run now.
  int running() const { return running_; }
  // Every pod's rules are due for a look.
  void VerifyAll();

  // --- from the plugin
  // The pod lives in this sandbox from now on. Nothing if the pod was never observed.
  void Attach(const std::string& uid, podns::Sandbox sandbox);
  // As Attach, but the sandbox is the plugin's to program until Commit, Abort or a timeout; the
  // token is good for one of them. The pod has been observed.
  std::string Offer(const std::string& uid, podns::Sandbox sandbox);
  // The plugin has run the program. Returns when the pod is enrolled; after an error the sandbox is
  // forgotten, because its ADD fails.
  // Errors  kAlreadyExists: no such token, or not any more; kCancelled: no longer wanted; others
  // from the failed step.
  boost::asio::awaitable<Result<void>> Commit(std::string token, std::chrono::milliseconds timeout);
  void Abort(const std::string& token);
  // The same for a pod whose namespace the agent itself enters.
  boost::asio::awaitable<Result<void>> Enrol(std::string uid, podns::Sandbox sandbox,
                                             std::chrono::milliseconds timeout);
  // The sandbox has ended, if it is still this pod's.
  void Detach(const std::string& uid, const net::NetnsId& netns);

  // Null if there is no such pod; valid until the next call.
  const enroll::PodRecord* Find(const std::string& uid) const;
  std::vector<enroll::PodRecord> Records() const;

 private:
  struct Waiter;
  struct Entry;
  struct Offered {
    std::string uid;
    net::NetnsId netns;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };

  Entry& Get(const std::string& uid);
  void Drive(const std::shared_ptr<Entry>& entry);
  boost::asio::awaitable<void> Run(std::shared_ptr<Entry> entry, enroll::Step step);
  boost::asio::awaitable<Result<void>> Perform(std::shared_ptr<Entry> entry, enroll::Step step,
                                               std::set<net::IpAddress> addresses);
  boost::asio::awaitable<Result<void>> Verify(std::shared_ptr<Entry> entry);
  void OnFailure(const std::shared_ptr<Entry>& entry, enroll::Step step, const Error& error);
  void StartBackoff(const std::shared_ptr<Entry>& entry);
  void Forget(const std::shared_ptr<Entry>& entry);
  void Interrupt(Entry& entry);
  void EndTunnelAdd(Entry& entry);
  void ReplaceSandbox(Entry& entry, std::optional<podns::Sandbox> sandbox, const char* why);
  void Remember(Entry& entry);
  void Refresh(Entry& entry);
  void EndWaits(Entry& entry, const Result<void>& result);
  boost::asio::awaitable<Result<void>> AwaitEnrolled(std::shared_ptr<Entry> entry,
                                                     std::chrono::milliseconds timeout);
  std::optional<Offered> TakeOffer(const std::string& token);
  void ScheduleSave();

  boost::asio::io_context& io_;
  Effects& effects_;
  const Clock& clock_;
  observe::Log& log_;
  EnrolmentMetrics& metrics_;
  Options options_;
  Save save_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  std::map<std::string, Offered> offers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::random_device random_;
  bool working_ = false;
  bool save_scheduled_ = false;
  int running_ = 0;
};

}  // namespace ambit::reconcile
