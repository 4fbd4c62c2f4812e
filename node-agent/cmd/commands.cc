#include "node-agent/cmd/commands.h"

#include <algorithm>
#include <array>
#include <utility>

#include "node-agent/cmd/answer.h"

namespace ambit::cmd {
namespace {

namespace asio = boost::asio;
using enroll::Wish;
using reconcile::MeshView;

constexpr char kScope[] = "cmd";

bool IsSandboxOf(const podns::Sandbox& sandbox, const PodRequest& request) {
  if (!sandbox.container_id.empty() && !request.container_id.empty()) {
    return sandbox.container_id == request.container_id &&
           (sandbox.ifname.empty() || request.ifname.empty() || sandbox.ifname == request.ifname);
  }
  return !request.netns.empty() && sandbox.netns_path == request.netns;
}

// The path as a label, so that a caller cannot make up time series.
std::string CommandLabel(std::string_view path) {
  static constexpr std::array<std::string_view, 7> kKnown{
      "/cmdadd", "/cmdadd/commit", "/cmdadd/abort", "/cmddel", "/cmdcheck", "/cmdgc", "/status"};
  return std::ranges::find(kKnown, path) == kKnown.end() ? "other" : std::string(path.substr(1));
}

}  // namespace

Commands::Commands(MeshView& view, reconcile::Reconciler& reconciler, reconcile::Effects& effects,
                   observe::Log& log, prometheus::Registry& registry, Options options)
    : view_(view),
      reconciler_(reconciler),
      effects_(effects),
      log_(log),
      options_(options),
      istio_requests_(prometheus::BuildCounter()
                          .Name("istio_cni_plugin_requests")
                          .Help("Requests of CNI plugins to capture a pod")
                          .Register(registry)),
      requests_(prometheus::BuildCounter()
                    .Name("ambit_agent_plugin_requests")
                    .Help("Requests of CNI plugins by command and HTTP status")
                    .Register(registry)) {}

asio::awaitable<http1::Response> Commands::Handle(http1::Request request) {
  std::string command = CommandLabel(request.path());
  // No guard object: a request that is still open at the end goes with the loop, after this object.
  ++running_;
  http1::Response response = co_await Route(std::move(request));
  --running_;
  std::string code = std::to_string(response.status);
  requests_.Add({{"command", command}, {"response_code", code}}).Increment();
  if (command == "cmdadd") istio_requests_.Add({{"response_code", code}}).Increment();
  if (response.status != 200) {
    log_.Warn(kScope, "a plugin's request was not fulfilled",
              {{"command", command},
               {"status", static_cast<int64_t>(response.status)},
               {"answer", response.body}});
  }
  co_return response;
}

asio::awaitable<http1::Response> Commands::Route(http1::Request request) {
  std::string path(request.path());
  if (path == "/cmdadd") co_return co_await Add(std::move(request));
  if (path == "/cmdadd/commit") co_return co_await Commit(std::move(request));
  if (path == "/cmdcheck") co_return co_await Check(std::move(request));
  if (path == "/cmdadd/abort") co_return Abort(request);
  if (path == "/cmddel") co_return Delete(request);
  if (path == "/cmdgc") co_return CollectGarbage(request);
  if (path == "/status") co_return Status();
  http1::Response response;
  response.status = 404;
  response.body = "there is no such command\n";
  co_return response;
}

http1::Response Commands::Delete(const http1::Request& request) {
  auto pod = ParsePodRequest(request.body);
  if (!pod) {
    log_.Warn(kScope, pod.error().message());
    return Empty();
  }
  for (const auto& record : reconciler_.Records()) {
    if (record.sandbox && IsSandboxOf(*record.sandbox, *pod)) {
      reconciler_.Detach(record.uid, record.sandbox->netns);
    }
  }
  return Empty();
}

// The list is that of one network; a sandbox whose namespace still lives may belong to another one.
http1::Response Commands::CollectGarbage(const http1::Request& request) {
  auto valid = ParseValidAttachments(request.body);
  if (!valid) return Refusal(valid.error());
  for (const auto& record : reconciler_.Records()) {
    if (!record.sandbox || record.sandbox->container_id.empty()) continue;
    const podns::Sandbox& sandbox = *record.sandbox;
    bool listed = std::ranges::any_of(*valid, [&sandbox](const Attachment& attachment) {
      return attachment.container_id == sandbox.container_id;
    });
    if (listed || podns::StillThere(sandbox)) continue;
    log_.Info(kScope, "forgot a sandbox that the runtime does not know any more",
              {{"pod", record.Key()}});
    reconciler_.Detach(record.uid, sandbox.netns);
  }
  return Empty();
}

http1::Response Commands::Status() const {
  if (!view_.synced()) return NotReady("the agent has not read all pods yet", false);
  std::string problem = effects_.TunnelProblem();
  if (options_.status_needs_tunnel && !problem.empty()) return NotReady(problem, true);
  return Ready();
}

asio::awaitable<http1::Response> Commands::Check(http1::Request request) {
  auto pod = ParsePodRequest(request.body);
  if (!pod) co_return Refusal(pod.error());
  auto seen = co_await FindPod(*pod, std::chrono::steady_clock::now() + options_.pod_wait);
  if (!seen) co_return Refusal(seen.error());
  if (seen->decision.wish != Wish::kCaptured) co_return Checked(false, {});
  auto sandbox = SandboxOf(*pod);
  if (!sandbox) co_return Refusal(sandbox.error());
  auto problems = co_await effects_.Verify(sandbox->handle, seen->decision.options);
  if (!problems) co_return Refusal(problems.error());
  const enroll::PodRecord* record = reconciler_.Find(seen->pod->uid);
  if (record == nullptr || !record->sandbox || record->sandbox->netns != sandbox->netns) {
    problems->push_back("the agent does not know this namespace as the pod's");
  } else if (!effects_.TunnelServes(record->uid)) {
    std::string problem = effects_.TunnelProblem();
    problems->push_back(problem.empty() ? "the tunnel has not acknowledged the pod" : problem);
  }
  co_return Checked(true, *problems);
}

Result<MeshView::Seen> Commands::LookUp(const PodRequest& request) const {
  if (!view_.synced()) {
    return Fail(ErrorCode::kUnavailable, "the agent has not read all pods yet");
  }
  const MeshView::Seen* seen = view_.Find(request.pod_namespace, request.pod_name);
  if (seen == nullptr) {
    return Fail(ErrorCode::kUnavailable, "pod " + request.Key() +
                                             " is not known on this node; its manifest or the API "
                                             "server's event has not arrived");
  }
  if (!MayBeSamePod(request.pod_uid, seen->pod->uid)) {
    return Fail(ErrorCode::kUnavailable, "pod " + request.Key() + " is known with uid " +
                                             seen->pod->uid + ", not yet with " + request.pod_uid);
  }
  if (seen->decision.wish == Wish::kUnknown || seen->decision.wish == Wish::kGone) {
    return Fail(ErrorCode::kUnavailable,
                "pod " + request.Key() + " cannot be judged: " + seen->decision.reason);
  }
  return *seen;
}

asio::awaitable<Result<MeshView::Seen>> Commands::FindPod(PodRequest request, Deadline deadline) {
  auto found = LookUp(request);
  while (!found && std::chrono::steady_clock::now() < deadline) {
    co_await view_.Changed(deadline);
    auto again = LookUp(request);
    found = std::move(again);
  }
  co_return found;
}

}  // namespace ambit::cmd
