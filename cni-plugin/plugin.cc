#include "cni-plugin/plugin.h"

#include <algorithm>
#include <utility>

#include "cni-plugin/add.h"
#include "cni-plugin/agent.h"
#include "cni-plugin/config.h"
#include "cni-plugin/failure.h"
#include "cni-plugin/invocation.h"
#include "cni-plugin/pod_args.h"
#include "cni-plugin/prev_result.h"
#include "cni-plugin/versions.h"

namespace ambit::cni {
namespace {

// One request on its way through the plugin.
struct Request {
  const World& world;
  Invocation invocation;
  Config config;
  std::string warning;  // what went wrong without failing the command

  Agent MakeAgent() const { return Agent(world.transport, world.clock, config); }
};

using Handler = Outcome<std::string> (*)(Request&);  // returns what goes to stdout

// The oldest version a command exists in.
std::string_view FirstVersion(Command command) {
  if (command == Command::kCheck) return "0.4.0";
  if (command == Command::kGc || command == Command::kStatus) return "1.1.0";
  return "0.3.0";
}

Outcome<Sandbox> MakeSandbox(const Request& request) {
  auto pod = ParsePodArgs(request.invocation.args);
  if (!pod) return std::unexpected(pod.error());
  auto addresses = ReadAddresses(request.config);
  if (!addresses) return std::unexpected(addresses.error());
  return Sandbox{.container_id = request.invocation.container_id,
                 .ifname = request.invocation.ifname,
                 .netns = request.invocation.netns,
                 .pod = std::move(*pod),
                 .addresses = std::move(*addresses)};
}

Outcome<UniqueFd> OpenPodNetns(const Request& request) {
  Kernel& kernel = request.world.kernel;
  const std::string& path = request.invocation.netns;
  auto netns = kernel.OpenNetns(path);
  if (!netns) {
    return FailWith(CniCode::kBadNetns, "CNI_NETNS cannot be used: " + netns.error().message());
  }
  if (request.invocation.own_netns_allowed) return std::move(*netns);
  auto own = kernel.IsOwnNetns(netns->get());
  if (!own) return FailWith(CniCode::kBadNetns, own.error().message());
  if (!*own) return std::move(*netns);
  return FailWith(CniCode::kBadNetns,
                  "CNI_NETNS " + path + " is the network namespace of the runtime itself",
                  "redirecting the whole node's traffic is never wanted");
}

Outcome<std::string> Add(Request& request) {
  auto sandbox = MakeSandbox(request);
  if (!sandbox) return std::unexpected(sandbox.error());
  auto netns = OpenPodNetns(request);
  if (!netns) return std::unexpected(netns.error());
  if (sandbox->pod.IsPod()) {
    Agent agent = request.MakeAgent();
    auto added = AddToMesh(agent, request.world.kernel, *sandbox, netns->get());
    if (!added) return std::unexpected(added.error());
  }
  return RenderResult(request.config);
}

// Never fails once the request itself is understood: the pod is going away either way, and the
// agent notices by itself what it was not told.
Outcome<std::string> Del(Request& request) {
  auto pod = ParsePodArgs(request.invocation.args);
  if (pod && !pod->IsPod()) return "";
  Sandbox sandbox{.container_id = request.invocation.container_id,
                  .ifname = request.invocation.ifname,
                  .netns = request.invocation.netns,
                  .pod = pod.value_or(PodArgs{}),
                  .addresses = {}};
  Agent agent = request.MakeAgent();
  if (auto told = agent.Delete(sandbox); !told) request.warning = told.error().message;
  return "";
}

Outcome<std::string> Check(Request& request) {
  if (!request.config.prev_result) {
    return FailWith(CniCode::kBadConfig, "CHECK needs the prevResult of the ADD");
  }
  auto sandbox = MakeSandbox(request);
  if (!sandbox) return std::unexpected(sandbox.error());
  if (auto netns = OpenPodNetns(request); !netns) return std::unexpected(netns.error());
  if (!sandbox->pod.IsPod()) return "";
  Agent agent = request.MakeAgent();
  auto answer = agent.Check(*sandbox);
  if (!answer) return std::unexpected(answer.error());
  if (answer->problems.empty()) return "";
  std::string problems;
  for (const std::string& problem : answer->problems) {
    if (!problems.empty()) problems += "; ";
    problems += problem;
  }
  return FailWith(CniCode::kNotAsItShouldBe, "the pod's place in the mesh is damaged: " + problems,
                  "ambit-agent repairs what it can; a new sandbox repairs the rest");
}

// Without a list nothing is known to be garbage.
Outcome<std::string> CollectGarbage(Request& request) {
  if (!request.config.valid_attachments) return "";
  Agent agent = request.MakeAgent();
  auto done = agent.CollectGarbage(*request.config.valid_attachments);
  if (!done) return std::unexpected(done.error());
  return "";
}

Outcome<std::string> Status(Request& request) {
  Agent agent = request.MakeAgent();
  if (auto ready = agent.Status(); !ready) return std::unexpected(ready.error());
  return "";
}

Handler HandlerOf(Command command) {
  switch (command) {
    case Command::kAdd:
      return Add;
    case Command::kDel:
      return Del;
    case Command::kCheck:
      return Check;
    case Command::kGc:
      return CollectGarbage;
    default:
      return Status;
  }
}

// Log lines are one line each, whatever an answer or a variable contains.
std::string LogLine(const Invocation& invocation, std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < ' '; }, ' ');
  std::string line = "ambit-cni " + std::string(CommandName(invocation.command));
  if (!invocation.container_id.empty()) line += " " + invocation.container_id;
  return line + ": " + text + "\n";
}

Output Failed(const Invocation& invocation, const Failure& failure, std::string_view version) {
  std::string text = failure.message;
  if (!failure.details.empty()) text += " (" + failure.details + ")";
  return {.exit_code = 1,
          .standard_out = RenderFailure(failure, version),
          .standard_error = LogLine(invocation, std::move(text))};
}

Output Usage() {
  return {.exit_code = 0,
          .standard_out = "",
          .standard_error = "CNI plugin ambit-cni " AMBIT_VERSION
                            "\nCNI protocol versions supported: " +
                            SupportedVersionsText() + "\n"};
}

Outcome<Config> ReadConfig(const World& world) {
  auto text = world.read_config();
  if (text) return ParseConfig(*text);
  return FailWith(CniCode::kIo,
                  "the network configuration cannot be read: " + text.error().message());
}

}  // namespace

Output RunPlugin(const World& world) {
  auto invocation = ParseInvocation(world.environment);
  if (!invocation) return Failed({}, invocation.error(), kNewestVersion);
  if (invocation->command == Command::kUsage) return Usage();
  if (invocation->command == Command::kVersion) return {0, RenderVersions(), ""};
  auto config = ReadConfig(world);
  if (!config) return Failed(*invocation, config.error(), kNewestVersion);
  Request request{world, std::move(*invocation), std::move(*config), ""};
  const std::string& version = request.config.cni_version;
  std::string_view first = FirstVersion(request.invocation.command);
  if (!VersionAtLeast(version, first)) {
    Failure failure{CniCode::kIncompatibleVersion,
                    std::string(CommandName(request.invocation.command)) + " exists since CNI " +
                        std::string(first) + ", the configuration is of " + version,
                    ""};
    return Failed(request.invocation, failure, version);
  }
  auto done = HandlerOf(request.invocation.command)(request);
  if (!done) return Failed(request.invocation, done.error(), version);
  Output output{0, std::move(*done), ""};
  if (!request.warning.empty()) {
    output.standard_error = LogLine(request.invocation, request.warning);
  }
  return output;
}

}  // namespace ambit::cni
