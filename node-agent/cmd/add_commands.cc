// ADD: ask, commit, abort, for both kinds of plugin.

#include <utility>

#include "lib/netlink/program.h"
#include "node-agent/cmd/answer.h"
#include "node-agent/cmd/commands.h"

namespace ambit::cmd {
namespace {

namespace asio = boost::asio;
using enroll::Wish;
using reconcile::MeshView;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

milliseconds Left(steady_clock::time_point deadline) {
  auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
  return left > milliseconds(0) ? left : milliseconds(0);
}

Result<void> NamesAPod(const PodRequest& request) {
  if (request.pod_name.empty() || request.pod_namespace.empty() || request.netns.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "the request must have PodName, PodNamespace and Netns");
  }
  return {};
}

}  // namespace

Result<podns::Sandbox> Commands::SandboxOf(const PodRequest& request) const {
  auto sandbox = podns::OpenSandbox(request.netns, options_.host);
  if (!sandbox) return sandbox;
  sandbox->container_id = request.container_id;
  sandbox->ifname = request.ifname;
  sandbox->ips = request.ips;
  return sandbox;
}

// A pod that is labelled later is captured then only if its namespace is known. A pod that is not
// labelled must never fail because of us.
void Commands::KeepSandbox(const PodRequest& request, const std::string& uid) {
  auto sandbox = SandboxOf(request);
  if (sandbox) {
    reconciler_.Attach(uid, std::move(*sandbox));
  } else {
    log_.Warn("cmd", "the namespace of a pod outside the mesh cannot be kept for later",
              {{"pod", request.Key()}, {"error", sandbox.error().message()}});
  }
}

asio::awaitable<http1::Response> Commands::Add(http1::Request http) {
  auto deadline = steady_clock::now() + options_.budget;
  auto request = ParsePodRequest(http.body);
  // Who sends nothing readable is answered as Istio's plugin expects it, which ours takes as well.
  if (!request) co_return IstioBadRequest(request.error());
  if (!request->ambit) co_return co_await AddForIstio(std::move(*request), deadline);
  co_return co_await Offer(std::move(*request), deadline);
}

asio::awaitable<http1::Response> Commands::AddForIstio(PodRequest request, Deadline deadline) {
  if (auto named = NamesAPod(request); !named) co_return IstioRefusal(named.error());
  auto seen =
      co_await FindPod(request, std::min(deadline, steady_clock::now() + options_.pod_wait));
  if (!seen) co_return IstioRefusal(seen.error());
  if (seen->decision.wish != Wish::kCaptured) {
    KeepSandbox(request, seen->pod->uid);
    co_return IstioRefusal(
        Error(ErrorCode::kInvalidArgument,
              "pod " + request.Key() + " is not eligible for the mesh: " + seen->decision.reason));
  }
  auto sandbox = SandboxOf(request);
  if (!sandbox) co_return IstioRefusal(sandbox.error());
  auto enrolled = co_await reconciler_.Enrol(seen->pod->uid, std::move(*sandbox), Left(deadline));
  if (!enrolled) co_return IstioRefusal(enrolled.error());
  co_return http1::Response{};
}

asio::awaitable<http1::Response> Commands::Offer(PodRequest request, Deadline deadline) {
  if (auto named = NamesAPod(request); !named) co_return Refusal(named.error());
  auto seen =
      co_await FindPod(request, std::min(deadline, steady_clock::now() + options_.pod_wait));
  if (seen && seen->decision.wish == Wish::kCaptured) {
    bool connected = co_await effects_.TunnelWait(Left(deadline));
    if (!connected) {
      co_return Refusal(
          Error(ErrorCode::kUnavailable,
                "pod " + request.Key() + " waits for a tunnel: " + effects_.TunnelProblem()));
    }
    // What was known may have changed during the wait.
    auto again = LookUp(request);
    seen = std::move(again);
  }
  if (!seen) co_return Refusal(seen.error());
  if (seen->decision.wish != Wish::kCaptured) {
    KeepSandbox(request, seen->pod->uid);
    co_return NotCaptured(seen->decision.reason);
  }
  co_return OfferProgram(request, *seen);
}

http1::Response Commands::OfferProgram(const PodRequest& request, const MeshView::Seen& seen) {
  auto sandbox = SandboxOf(request);
  if (!sandbox) return Refusal(sandbox.error());
  auto program = redirect::PlanRedirect(seen.decision.options);
  if (!program) return Refusal(program.error());
  // The claim comes with the sandbox: between the two the agent would begin by itself.
  std::string token = reconciler_.Offer(seen.pod->uid, std::move(*sandbox));
  return Captured(seen.decision.reason, token, netlink::ToJson(*program),
                  netlink::ToJson(redirect::PlanUndo()));
}

asio::awaitable<http1::Response> Commands::Commit(http1::Request http) {
  auto token = ParseToken(http.body);
  if (!token) co_return Refusal(token.error());
  auto committed = co_await reconciler_.Commit(std::move(*token), options_.budget);
  if (!committed) co_return Refusal(committed.error());
  co_return Empty();
}

http1::Response Commands::Abort(const http1::Request& http) {
  if (auto token = ParseToken(http.body)) reconciler_.Abort(*token);
  return Empty();
}

}  // namespace ambit::cmd
