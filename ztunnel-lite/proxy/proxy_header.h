#pragma once

#include <string_view>

#include "lib/base/bytes.h"
#include "lib/net/address.h"

// Purpose  what an app behind an application tunnel is told of a connection before its first byte.
// Threads  pure.
// Source   HAProxy's "The PROXY protocol", version 2, section 2.2; types 0xD0 and 0xD1 are
//          Istio's.
namespace ambit::proxy {

// `source` and `destination` as the client's connection had them; of different families the header
// carries none. `peer_identity` is the client's SPIFFE URI (type 0xD0), `service_hostname` what it
// called (type 0xD1); an empty one is left out, and so is one that would not fit into the header's
// 64 KiB.
Bytes ProxyHeader(const net::Endpoint& source, const net::Endpoint& destination,
                  std::string_view peer_identity, std::string_view service_hostname);

}  // namespace ambit::proxy
