#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/net/address.h"
#include "ztunnel-lite/state/mesh_state.h"

// Purpose  where a connection goes: the outbound decision and the inbound one, as pure functions
// over
//          the mesh state.
// Errors   their message is what the access log says; see each function.
namespace ambit::proxy {

// Randomness for load balancing, so that a test can choose.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Below(uint64_t bound) = 0;  // uniform in [0, bound)
};

// A fast generator with a random seed, for load balancing only. Thread: one.
std::unique_ptr<Random> MakeRandom();

// Ports of our own listeners in a pod: nothing may be sent there.
bool IsOwnPort(uint16_t port);

// Of the names that the control plane says may answer for a service, those that are SPIFFE ids.
std::vector<std::string> SpiffeNames(const state::Service& service);

// kDoubleHbone: to a workload on another network, a tunnel to that network's gateway and another
// one inside it.
enum class Carrier : uint8_t { kHbone, kDoubleHbone, kTcp };

struct OutboundRoute {
  Carrier carrier = Carrier::kTcp;
  net::Endpoint next_hop;  // TCP connects here
  std::string authority;   // of the CONNECT request, in both tunnels of kDoubleHbone; not of kTcp
  // SPIFFE URIs, any of which the peer must present; of kDoubleHbone the gateway.
  std::vector<std::string> expected_sans;
  std::vector<std::string> inner_sans;  // kDoubleHbone: the same of who answers the inner tunnel
  state::WorkloadPtr destination;       // what next_hop belongs to; null: unknown, passthrough
  state::ServicePtr service;            // null unless addressed through a service

  // Set where next_hop has no address yet, because only a hostname is known of the workload.
  struct Resolve {
    std::string hostname;
    net::Family preferred = net::Family::kIpv4;  // of what the client called
    uint16_t authority_port = 0;  // not 0: the authority is the address with this port
  };
  std::optional<Resolve> resolve;
};

struct OutboundRequest {
  state::WorkloadPtr source;
  std::string network;  // of this node (NETWORK)
  net::Endpoint client;
  net::Endpoint destination;  // original destination
  // Workloads, by uid, that could not be reached a moment ago: no service leads to them.
  std::vector<std::string> unreachable;
};

// Errors  kUnavailable: "no healthy upstream", "unknown waypoint", "unknown gateway";
//         kInvalidArgument: "no valid destination", the chosen workload cannot be reached that way,
//         or the client called one of our own ports.
Result<OutboundRoute> RouteOutbound(const state::MeshState& mesh, const OutboundRequest& request,
                                    Random& random);

// The route with what its hostname resolved to: one at random of the preferred family, else one of
// the others. Needs at least one address.
OutboundRoute WithAddress(OutboundRoute route, std::span<const net::IpAddress> addresses,
                          Random& random);

struct InboundRequest {
  state::WorkloadPtr local;
  std::string network;
  std::string authority;                 // of the CONNECT request
  net::Endpoint connection_destination;  // the pod's own address the tunnel came in on, port 15008
  std::string forwarded_host;            // what the client says it called, may be empty
};

struct InboundRoute {
  net::Endpoint app;          // where to dial; the address is always the pod's own
  state::ServicePtr service;  // for telemetry
  // What the client called, for an app that wants a PROXY protocol header first.
  struct Called {
    net::Endpoint endpoint;
    std::string service_hostname;  // empty where the client did not name one
  };
  std::optional<Called> proxy_header;
};

// Errors  kInvalidArgument: answered with 400 (authority does not parse or is not this pod's);
//         kUnavailable: 503 (unknown service, no target port, one of the tunnel's own ports,
//         a hostname without an address for the app's PROXY protocol header).
Result<InboundRoute> RouteInbound(const state::MeshState& mesh, const InboundRequest& request);

// The service a connection to `app_port` of the pod most likely meant, for telemetry: the one with
// the client's hostname, else the first that sends to the port; null if there is none.
state::ServicePtr GuessService(const state::MeshState& mesh, const state::Workload& local,
                               uint16_t app_port, std::string_view forwarded_host);

}  // namespace ambit::proxy
