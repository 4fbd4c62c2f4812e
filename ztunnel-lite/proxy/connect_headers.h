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

// for="10.0.0.1:41234", with ;host=<service_hostname> where that is not empty.
std::string ForwardedHeader(const net::Endpoint& client, std::string_view service_hostname);

// The host of a forwarded header, without quotes; empty where there is none or it is not ASCII.
std::string ForwardedHost(std::string_view forwarded);

// 00-<32 hex>-<16 hex>-00
std::string MakeTraceparent(Random& random);

}  // namespace ambit::proxy
