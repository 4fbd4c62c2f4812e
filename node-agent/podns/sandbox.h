#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "lib/net/netns.h"

// Purpose  which network namespace a pod lives in, as handed over at ADD or named by its manifest.
// Threads  values; the descriptor is shared and read-only.
namespace ambit::podns {

// Names a running pod's network namespace in a manifest.
inline constexpr char kNetnsAnnotation[] = "ambit.io/netns";

// One incarnation of a pod's network: a pod whose sandbox is recreated keeps its uid and gets
// another namespace.
struct Sandbox {
  std::string netns_path;
  net::NetnsId netns{};
  std::string container_id{};  // empty: the caller of ADD did not say
  std::string ifname{};
  std::vector<net::IpAddress> ips{};  // of prevResult; empty: the pod's status has them
  // Keeps the namespace alive while tunnels may still be told of it.
  std::shared_ptr<const UniqueFd> handle{};
};

// Opens `path`. Errors  those of net::OpenNetns; kInvalidArgument: it is `host`, the namespace of
// the node itself, whose traffic must never be captured.
Result<Sandbox> OpenSandbox(const std::string& path, const net::NetnsId& host);

// The path still leads to the same namespace.
bool StillThere(const Sandbox& sandbox);

}  // namespace ambit::podns
