#pragma once

#include <gtest/gtest.h>

#include <string>

#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/testing/netns_lab.h"
#include "node-agent/redirect/testing/traffic.h"

namespace ambit::redirect {

// Every test runs once for each family: a pod and its peer, and listeners where traffic may end.
class CapturedPod : public ::testing::TestWithParam<net::Family> {
 protected:
  CapturedPod() {
    listeners_.Add(pod(), "outbound port", 15001);
    listeners_.Add(pod(), "inbound port", 15006);
    listeners_.Add(pod(), "HBONE port", 15008);
    listeners_.Add(pod(), "DNS port", 15053);
    listeners_.Add(pod(), "app", 8080);
    listeners_.Add(peer(), "peer", 8080);
    listeners_.Add(peer(), "peer", 53);
  }

  const TestNetns& pod() const { return net_.pod; }
  const TestNetns& peer() const { return net_.peer; }
  const Listeners& listeners() const { return listeners_; }

  void Apply(const Options& options) {
    auto plan = PlanRedirect(options);
    ASSERT_TRUE(plan.has_value()) << plan.error().message();
    auto done = pod().In([&] { return netlink::Run(*plan); });
    ASSERT_TRUE(done.has_value()) << done.error().message();
  }

  bool v4() const { return GetParam() == net::Family::kIpv4; }
  net::IpAddress PodIp() const { return Ip("10.77.0.2", "fd77::2"); }
  net::IpAddress PeerIp() const { return Ip("10.77.0.1", "fd77::1"); }
  net::IpAddress Loopback() const { return net::IpAddress::Loopback(GetParam()); }
  net::IpAddress ProbeIp() const { return v4() ? Options().probe_v4 : Options().probe_v6; }
  net::IpAddress Ip(const char* v4_text, const char* v6_text) const {
    return net::IpAddress::Parse(v4() ? v4_text : v6_text).value();
  }

  // Who accepts a connect from `from` to `to`; both ends close at once.
  std::string WhoGets(const TestNetns& from, const net::Endpoint& to,
                      const ClientOptions& options = {}) const {
    const UniqueFd client = Connect(from, to, options);
    return listeners().Next().listener;
  }

 private:
  PodAndPeer net_;
  Listeners listeners_;
};

inline std::string FamilyName(const ::testing::TestParamInfo<net::Family>& info) {
  return info.param == net::Family::kIpv4 ? "IPv4" : "IPv6";
}

}  // namespace ambit::redirect
