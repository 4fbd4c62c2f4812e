#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "lib/observe/log.h"
#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/testing/netns_lab.h"
#include "node-agent/redirect/testing/traffic.h"
#include "ztunnel-lite/dns/testing/decoded.h"
#include "ztunnel-lite/dns/testing/fake_resolver.h"
#include "ztunnel-lite/dns/testing/test_proxy.h"

namespace ambit::dns::testing {

// A captured pod of namespace "demo" behind the agent's own rules, its DNS proxy, and a resolver on
// the peer. The mesh has the service server.demo.svc.cluster.local at 10.96.0.10 and fd96::10.
class ProxiedPod : public ::testing::TestWithParam<net::Family> {
 protected:
  ProxiedPod();
  void SetUp() override;

  void AwaitLink() const;
  // Before anything is asked; both have defaults.
  void StartResolver(FakeResolver::Script script);
  void StartProxy();

  const redirect::TestNetns& pod() const { return net_.pod; }
  const redirect::TestNetns& peer() const { return net_.peer; }
  bool v4() const { return GetParam() == net::Family::kIpv4; }
  net::IpAddress Ip(const std::string& v4_text, const std::string& v6_text) const {
    return net::IpAddress::Parse(v4() ? v4_text : v6_text).value();
  }
  net::IpAddress PodIp() const { return Ip("10.77.0.2", "fd77::2"); }
  net::IpAddress Loopback() const { return net::IpAddress::Loopback(GetParam()); }
  net::Endpoint Resolver() const { return {Ip("10.77.0.1", "fd77::1"), 53}; }
  uint16_t AddressType() const { return v4() ? kTypeA : kTypeAaaa; }
  std::string VipText() const { return v4() ? "10.96.0.10" : "fd96::10"; }
  std::unique_ptr<TestProxy> MakeProxy();
  Listeners Bind() const;

  // What the pod's app gets for the message; empty after 5 s.
  Bytes AskByUdp(const Bytes& message) const;
  // A connection to the resolver, and messages on it.
  UniqueFd ConnectTcp() const;
  static void SendFramed(const UniqueFd& fd, const Bytes& message);
  // Empty at the end of the stream.
  static Bytes ReceiveFramed(const UniqueFd& fd);

  static std::shared_ptr<state::Workload> ClientWorkload();

  redirect::PodAndPeer net_;
  state::MeshState mesh_;
  telemetry::DnsMeter meter_;
  observe::MemoryLog log_;
  UniqueFd own_netns_ = net::OpenOwnNetns().value();
  Server::Options options_;
  std::unique_ptr<FakeResolver> resolver_;
  std::unique_ptr<TestProxy> proxy_;
};

inline std::string FamilyName(const ::testing::TestParamInfo<net::Family>& info) {
  return info.param == net::Family::kIpv4 ? "IPv4" : "IPv6";
}

}  // namespace ambit::dns::testing
