#pragma once

#include <fcntl.h>

#include <set>
#include <string>
#include <vector>

#include "ztunnel-lite/zds/pod_set.h"

// Purpose  a pod handler that writes down what it was asked and fails for chosen pods.
namespace ambit::zds {

class TestHandler : public PodHandler {
 public:
  Result<void> Start(const Pod& pod, UniqueFd netns) override {
    events.push_back("start " + pod.uid);
    if (!netns.valid()) return Fail(ErrorCode::kInvalidArgument, "no namespace");
    if (failing.contains(pod.uid)) return Fail(ErrorCode::kIo, "port 15008 is taken");
    return {};
  }
  void Stop(const std::string& uid) override { events.push_back("stop " + uid); }

  std::vector<std::string> events;
  std::set<std::string> failing;
};

inline AddPod Add(const std::string& uid) {
  return {{uid, "name", "ns", "sa"}, UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC))};
}

}  // namespace ambit::zds
