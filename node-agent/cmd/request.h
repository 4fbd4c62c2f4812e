#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/net/address.h"

// Purpose  the bodies of the command protocol as values. Pure.
// Threads  any.
// Errors   kInvalidArgument: not JSON, something behind it, or a field of the wrong type.
// Source   docs/command-protocol.md; Istio's plugin event. Keys are compared without case, as Go
//          does; unknown keys are ignored.
namespace ambit::cmd {

// Body of /cmdadd, /cmdcheck and /cmddel.
struct PodRequest {
  std::string netns;
  std::string pod_name;
  std::string pod_namespace;
  std::vector<net::IpAddress> ips;
  // Not sent by Istio's plugin.
  std::string pod_uid;
  std::string container_id;
  std::string ifname;
  bool ambit = false;  // the caller runs netlink programs itself

  std::string Key() const { return pod_namespace + "/" + pod_name; }
};

struct Attachment {
  std::string container_id;
  std::string ifname;
};

// False only when both are uids of the API server (version 4) and differ: a static pod's runtime
// knows a hash instead, a manifest without uid gets a derived one, and Istio's plugin sends none.
bool MayBeSamePod(std::string_view from_runtime, std::string_view from_source);

Result<PodRequest> ParsePodRequest(std::string_view body);
// {"token": "…"}
Result<std::string> ParseToken(std::string_view body);
// {"ValidAttachments": [{"ContainerID": "…", "IfName": "…"}]}
Result<std::vector<Attachment>> ParseValidAttachments(std::string_view body);

}  // namespace ambit::cmd
