#include "cni-plugin/add.h"

#include <utility>

namespace ambit::cni {
namespace {

// The program may have run in part or whole: its undo tolerates what is not there.
Failure Undo(Agent& agent, Kernel& kernel, const Capture& capture, int netns_fd, Failure cause) {
  auto undone = kernel.RunIn(netns_fd, capture.undo);
  if (!undone) {
    // The pod does not start, and its namespace with the rules ends with its sandbox.
    cause.details += (cause.details.empty() ? "" : "; ") +
                     ("the rules could not be taken out again: " + undone.error().message());
  }
  agent.Abort(capture.token);
  cause.code = CniCode::kTryLater;
  return cause;
}

}  // namespace

Outcome<void> AddToMesh(Agent& agent, Kernel& kernel, const Sandbox& sandbox, int netns_fd) {
  auto answer = agent.Add(sandbox);
  if (!answer) return std::unexpected(answer.error());
  if (!answer->capture) return {};
  const Capture& capture = *answer->capture;
  if (auto ran = kernel.RunIn(netns_fd, capture.program); !ran) {
    Failure cause{CniCode::kTryLater,
                  "the redirection of the pod could not be set up: " + ran.error().message(), ""};
    return std::unexpected(Undo(agent, kernel, capture, netns_fd, std::move(cause)));
  }
  if (auto committed = agent.Commit(capture.token); !committed) {
    return std::unexpected(Undo(agent, kernel, capture, netns_fd, committed.error()));
  }
  return {};
}

}  // namespace ambit::cni
