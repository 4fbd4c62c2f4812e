#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node-agent/redirect/testing/captured_pod.h"

// What each rule does to real packets, for TCP; DNS has a file of its own.
namespace ambit::redirect {
namespace {

class Outbound : public CapturedPod {};
class Inbound : public CapturedPod {};
class Replies : public CapturedPod {};
class VirtualInterface : public CapturedPod {};

TEST_P(Outbound, WithoutRulesAConnectReachesThePeer) {
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}), "peer");
}

TEST_P(Outbound, AConnectIsCapturedAndItsDestinationIsKept) {
  Apply({});
  const UniqueFd client = Connect(pod(), {PeerIp(), 8080});
  const Arrival arrival = listeners().Next();
  EXPECT_EQ(arrival.listener, "outbound port");
  EXPECT_EQ(arrival.original_destination, (net::Endpoint{PeerIp(), 8080}));
}

TEST_P(Outbound, TheTunnelsOwnConnectIsExcused) {
  Apply({});
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}, {.mark = kTunnelMark}), "peer");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}, {.mark = 0x10000 | kTunnelMark}), "peer");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}, {.mark = 0x10000}), "outbound port");
}

TEST_P(Outbound, AConnectToThePodItselfIsExcused) {
  Apply({});
  EXPECT_EQ(WhoGets(pod(), {PodIp(), 8080}), "app");
  EXPECT_EQ(WhoGets(pod(), {Loopback(), 8080}), "app");
}

TEST_P(Outbound, AConnectToTheSourceOfProbesIsExcused) {
  peer().AddAddress(ProbeIp().ToString(), "lo");
  EXPECT_EQ(WhoGets(pod(), {ProbeIp(), 8080}), "peer");
  Apply({});
  EXPECT_EQ(WhoGets(pod(), {ProbeIp(), 8080}), "peer");
}

TEST_P(Outbound, UdpThatIsNotDnsIsNotCaptured) {
  Apply({.dns_capture = true});
  const UniqueFd server = BindUdp(peer(), {PeerIp(), 9999});
  const UniqueFd client = ConnectUdp(pod(), {PeerIp(), 9999});
  Write(client, "hello");
  EXPECT_EQ(Answer(server), "hello");
  EXPECT_EQ(Read(client), "re: hello");
}

TEST_P(Outbound, WithIpv6OffOnlyIpv4IsCaptured) {
  Apply({.dns_capture = true, .virtual_interfaces = {"eth0"}, .ipv6 = false});
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}), v4() ? "outbound port" : "peer");
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 8080}), v4() ? "outbound port" : "app");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 53}), v4() ? "DNS port" : "peer");
}

TEST_P(Inbound, AConnectIsCapturedAndItsDestinationIsKept) {
  Apply({});
  const UniqueFd client = Connect(peer(), {PodIp(), 8080});
  const Arrival arrival = listeners().Next();
  EXPECT_EQ(arrival.listener, "inbound port");
  EXPECT_EQ(arrival.original_destination, (net::Endpoint{PodIp(), 8080}));
  EXPECT_EQ(arrival.peer.address, PeerIp());
}

TEST_P(Inbound, TheHbonePortIsLeftAlone) {
  Apply({});
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 15008}), "HBONE port");
}

TEST_P(Inbound, AProbeOfKubeletReachesTheAppDirectly) {
  peer().AddAddress(ProbeIp().ToString(), "lo");
  Apply({});
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 8080}, {.source = ProbeIp()}), "app");
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 8080}), "inbound port");
}

TEST_P(Inbound, TheTunnelsConnectToTheAppIsExcused) {
  Apply({});
  EXPECT_EQ(WhoGets(pod(), {PodIp(), 8080}, {.mark = kTunnelMark}), "app");
}

TEST_P(Inbound, BypassLeavesInboundAloneAndOutboundCaptured) {
  Apply({.bypass_inbound = true});
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 8080}), "app");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}), "outbound port");
}

// The tunnel connects to the app with the address of the client, which is not the pod's: without
// marks, rule and route the app's answers would leave through eth0.
TEST_P(Replies, OfTheAppReachTheTunnelThatSpoofsTheClient) {
  Apply({});
  const ClientOptions as_client{.mark = kTunnelMark, .spoof = true, .source = PeerIp()};
  const UniqueFd tunnel = Connect(pod(), {PodIp(), 8080}, as_client);
  const Arrival app = listeners().Next();
  ASSERT_EQ(app.listener, "app");
  EXPECT_EQ(app.peer.address, PeerIp());
  Write(app.fd, "banner");
  EXPECT_EQ(Read(tunnel), "banner");
  Write(tunnel, "request");
  EXPECT_EQ(Read(app.fd), "request");
}

TEST_P(Replies, GetLostWithoutThePolicyRule) {
  Apply({});
  pod().Shell(std::string("ip ") + (v4() ? "-4" : "-6") + " rule del pref 32764");
  const ClientOptions as_client{.mark = kTunnelMark, .spoof = true, .source = PeerIp()};
  const UniqueFd tunnel = Connect(pod(), {PodIp(), 8080}, as_client);
  EXPECT_EQ(listeners().Next(std::chrono::milliseconds(300)).listener, "nobody");
}

TEST_P(Replies, OfBypassedInboundReachTheTunnelToo) {
  Apply({.bypass_inbound = true});
  const ClientOptions as_client{.mark = kTunnelMark, .spoof = true, .source = PeerIp()};
  const UniqueFd tunnel = Connect(pod(), {PodIp(), 8080}, as_client);
  EXPECT_EQ(listeners().Next().listener, "app");
}

TEST_P(Replies, AreExcusedByTheirMarkAlone) {
  Apply({});
  // Without the policy rule they would be excused by leaving through lo, too.
  pod().Shell(std::string("ip ") + (v4() ? "-4" : "-6") + " rule del pref 32764");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 8080}, {.mark = kReplyMark}), "peer");
}

TEST_P(VirtualInterface, WhatEntersThereIsOutbound) {
  const TestNetns machine;
  pod().Shell("ip link add vm0 type veth peer name eth0 netns " + machine.path());
  pod().Shell("ip link set vm0 up");
  machine.Shell("ip link set eth0 up");
  pod().AddAddress("10.78.0.1/24", "vm0");
  pod().AddAddress("fd78::1/64", "vm0");
  machine.AddAddress("10.78.0.2/24", "eth0");
  machine.AddAddress("fd78::2/64", "eth0");
  machine.Shell("ip route add default via 10.78.0.1; ip -6 route add default via fd78::1");
  Apply({.virtual_interfaces = {"vm0"}});
  const UniqueFd client = Connect(machine, {PeerIp(), 8080});
  const Arrival arrival = listeners().Next();
  EXPECT_EQ(arrival.listener, "outbound port");
  EXPECT_EQ(arrival.original_destination, (net::Endpoint{PeerIp(), 8080}));
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 8080}), "inbound port");
}

TEST_P(VirtualInterface, ALongerNameWithTheSameStartIsAnother) {
  Apply({.virtual_interfaces = {"eth"}});
  EXPECT_EQ(WhoGets(peer(), {PodIp(), 8080}), "inbound port");
}

const auto kFamilies = ::testing::Values(net::Family::kIpv4, net::Family::kIpv6);
INSTANTIATE_TEST_SUITE_P(Capture, Outbound, kFamilies, FamilyName);
INSTANTIATE_TEST_SUITE_P(Capture, Inbound, kFamilies, FamilyName);
INSTANTIATE_TEST_SUITE_P(Capture, Replies, kFamilies, FamilyName);
INSTANTIATE_TEST_SUITE_P(Capture, VirtualInterface, kFamilies, FamilyName);

}  // namespace
}  // namespace ambit::redirect
