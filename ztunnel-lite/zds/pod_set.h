#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/observe/metrics.h"
#include "lib/observe/readiness.h"
#include "ztunnel-lite/zds/message.h"

namespace ambit::zds {

// What is done for a pod. Control thread.
class PodHandler {
 public:
  virtual ~PodHandler() = default;
  // Success means that every listener is bound. The same pod in the same namespace is a success.
  virtual Result<void> Start(const Pod& pod, UniqueFd netns) = 0;
  // Unknown uids are fine.
  virtual void Stop(const std::string& uid) = 0;
};

// The pods the agent has given us, over connections that come and go: which run, which could not be
// started and are tried again, which a new snapshot no longer names.
// Thread   control.
// Metrics  workload_manager_{active,pending}_proxy_count,
//          workload_manager_proxies_{started,stopped}_total.
class PodSet {
 public:
  static constexpr char kReadinessTask[] = "workload proxy manager";

  // All outlive the set.
  PodSet(PodHandler& handler, observe::Readiness& readiness, prometheus::Registry& metrics);

  // A new connection begins with a snapshot; pods that run go on.
  void Connected();
  void Disconnected();
  // The error for the agent. kProtocol: the message was out of place, nothing was done, and the
  // connection should end; any other: the pod could not be started and will be tried again.
  Result<void> Handle(Message message);

  bool has_pending() const { return !pending_.empty(); }
  bool snapshot_received() const { return snapshot_received_; }
  // What is still not started after it.
  std::vector<Error> RetryPending();

  // uid to whether it runs (otherwise it is pending).
  std::map<std::string, std::pair<Pod, bool>> List() const;

 private:
  Result<void> Start(const Pod& pod, UniqueFd netns);
  void Stop(const std::string& uid);
  Result<void> On(AddPod add);
  Result<void> On(KeepPod keep);
  Result<void> On(DeletePod del);
  Result<void> On(SnapshotSent sent);
  void Publish();

  PodHandler& handler_;
  observe::Readiness& readiness_;
  prometheus::Gauge& active_count_;
  prometheus::Gauge& pending_count_;
  prometheus::Counter& started_;
  prometheus::Counter& stopped_;

  std::map<std::string, Pod> active_;
  std::map<std::string, AddPod> pending_;
  std::set<std::string> seen_;  // named since the connection began
  bool connected_ = false;
  bool snapshot_received_ = false;
};

}  // namespace ambit::zds
