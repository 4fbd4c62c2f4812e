#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cni-plugin/agent_messages.h"
#include "cni-plugin/config.h"
#include "cni-plugin/transport.h"
#include "lib/base/clock.h"

namespace ambit::cni {

// The node's agent, as the plugin sees it. All calls of one instance share the configuration's
// `agent_timeout`; giving back (Abort) and Delete have their own short time, because they run when
// the first is used up or must not hold a pod's end.
// Errors  as agent_messages.h; an agent that is not there is kTryLater and the sentence says what
//         to do.
class Agent {
 public:
  Agent(Transport& transport, const Clock& clock, const Config& config)
      : transport_(transport),
        clock_(clock),
        config_(config),
        deadline_(clock.Steady() + config.agent_timeout) {}

  Outcome<AddAnswer> Add(const Sandbox& sandbox);
  Outcome<void> Commit(const std::string& token);
  // Best effort: an agent that does not hear it drops the token by itself.
  void Abort(const std::string& token);
  Outcome<void> Delete(const Sandbox& sandbox);
  Outcome<CheckAnswer> Check(const Sandbox& sandbox);
  Outcome<void> CollectGarbage(const std::vector<Attachment>& valid);
  // Errors  kUnavailable, kImpaired.
  Outcome<void> Status();

 private:
  std::chrono::milliseconds Left() const;
  Outcome<http1::Response> Post(std::string target, std::string body,
                                std::chrono::milliseconds timeout,
                                OnStop on_stop = OnStop::kCancel);
  Failure Away(const Error& error) const;

  Transport& transport_;
  const Clock& clock_;
  const Config& config_;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace ambit::cni
