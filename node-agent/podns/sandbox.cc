#include "node-agent/podns/sandbox.h"

#include <utility>

namespace ambit::podns {

Result<Sandbox> OpenSandbox(const std::string& path, const net::NetnsId& host) {
  auto opened = net::OpenNetns(path);
  if (!opened) return Fail(opened.error());
  auto netns = net::IdentifyNetns(opened->get());
  if (!netns) return Fail(netns.error().Wrap(path));
  if (*netns == host) {
    return Fail(ErrorCode::kInvalidArgument,
                path + " is the node's own network namespace; only a pod's can be captured");
  }
  return Sandbox{.netns_path = path,
                 .netns = *netns,
                 .handle = std::make_shared<const UniqueFd>(std::move(*opened))};
}

bool StillThere(const Sandbox& sandbox) {
  auto opened = net::OpenNetns(sandbox.netns_path);
  if (!opened) return false;
  auto netns = net::IdentifyNetns(opened->get());
  return netns && *netns == sandbox.netns;
}

}  // namespace ambit::podns
