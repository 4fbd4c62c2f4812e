#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ztunnel-lite/state/mesh_state.h"

// Purpose  what the mesh says of a name. Pure: values and a look at the state in, a value out.
namespace ambit::dns {

// Who asks, and where.
struct Client {
  std::string_view ns;
  std::string_view network;
  std::string_view cluster_domain;
  bool ipv6 = true;  // whether addresses of that family are given at all
  // Whose service is meant where several namespaces have the name, none of them is the client's and
  // none is canonical; empty: the first.
  std::string_view preferred_ns{};
  std::span<const std::string> search{};  // empty: a pod's
};

struct Resolution {
  enum class Kind : uint8_t {
    kForward,    // not ours to say: the resolver that the pod asked has the answer
    kAddresses,  // at least one
    kNoData,     // the name is known and has no address of that family
  };
  Kind kind = Kind::kForward;
  // Set where the question had a search domain at its end: a CNAME from it to here comes first.
  std::string alias{};
  std::vector<net::IpAddress> addresses{};
};

// `name` is lower case, without the dot at the end.
Resolution Resolve(std::string_view name, net::Family family, const Client& client,
                   const state::MeshState& mesh);

}  // namespace ambit::dns
