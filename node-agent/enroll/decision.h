#pragma once

#include <string>
#include <vector>

#include "lib/k8s/mesh_selection.h"
#include "lib/k8s/objects.h"
#include "node-agent/redirect/redirect.h"

// Purpose  what should be true of a pod: in the mesh or not, and with which rules. Pure.
namespace ambit::enroll {

inline constexpr char kDnsCaptureAnnotation[] = "ambient.istio.io/dns-capture";
inline constexpr char kBypassInboundAnnotation[] = "ambient.istio.io/bypass-inbound-capture";
inline constexpr char kVirtualInterfacesAnnotation[] = "istio.io/reroute-virtual-interfaces";

enum class Wish : uint8_t {
  kUnknown,  // not enough is known to say; nothing is changed then
  kOutside,  // not captured
  kCaptured,
  kGone,  // deleted or ended
};

struct Decision {
  Wish wish = Wish::kUnknown;
  std::string reason{};                 // one sentence for people
  redirect::Options options{};          // with the pod's own overrides
  std::vector<std::string> warnings{};  // annotations that do not parse and were left out
};

// `of_pod` is null while the namespace has not been seen.
Decision Decide(const k8s::Pod& pod, const k8s::Namespace* of_pod,
                const k8s::MeshSelection& selection, const redirect::Options& defaults);

bool SameRules(const redirect::Options& a, const redirect::Options& b);

}  // namespace ambit::enroll
