#pragma once

#include <string>
#include <string_view>

#include "lib/net/address.h"
#include "ztunnel-lite/proxy/route.h"
#include "ztunnel-lite/state/resources.h"

// Purpose  the header values that a CONNECT request and its answer carry beside the authority.
// Threads  pure functions.
// Source   W3C Baggage and Trace Context, RFC 7239; the exact forms are those of ztunnel.
namespace ambit::proxy {

// "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,…": only items that have a value, in a
// fixed order, without spaces or escapes. Empty if nothing is known.
std::string BaggageOf(const state::Workload& workload);

// What a peer says of itself: a workload with the baggage's values and the identity of its
// certificate. Null where that is nothing: not ASCII, no item that is known. A value that no
// Kubernetes name could have, by its length, is left out.
state::WorkloadPtr WorkloadOfBaggage(std::string_view baggage, std::string_view identity);

// for="10.0.0.1:41234", with ;host=<service_hostname> where that is not empty.
std::string ForwardedHeader(const net::Endpoint& client, std::string_view service_hostname);

// The host of a forwarded header, without quotes; empty where there is none or it is not ASCII.
std::string ForwardedHost(std::string_view forwarded);

// 00-<32 hex>-<16 hex>-00
std::string MakeTraceparent(Random& random);

}  // namespace ambit::proxy
