#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node-agent/redirect/testing/captured_pod.h"

namespace ambit::redirect {
namespace {

using ::testing::HasSubstr;

class DnsCapture : public CapturedPod {
 protected:
  // Counts what is in conntrack zone 1 behind our rules.
  void WatchZone() {
    pod().Shell(
        "nft -f - <<'E'\n"
        "table inet watch {\n"
        "  counter out { }\n  counter in { }\n"
        "  chain o { type filter hook output priority -50; ct zone 1 counter name out; }\n"
        "  chain i { type filter hook prerouting priority -50;\n"
        "    ct zone 1 ct state established counter name in; }\n"
        "}\nE");
  }
  std::string Count(const std::string& name) {
    return pod().Shell("nft list counter inet watch " + name + " | grep -o 'packets [0-9]*'");
  }
};

TEST_P(DnsCapture, AQuestionOverUdpIsCapturedAndTheAnswerComesFromTheServerAsked) {
  Apply({.dns_capture = true});
  // On the loopback address, where REDIRECT sends what leaves: an answer from another address would
  // belong to no connection that conntrack knows.
  const UniqueFd proxy = BindUdp(pod(), {Loopback(), 15053});
  const UniqueFd app = ConnectUdp(pod(), {PeerIp(), 53});
  Write(app, "question");
  EXPECT_EQ(Answer(proxy), "question");
  EXPECT_EQ(Read(app), "re: question");
}

TEST_P(DnsCapture, AQuestionOverTcpIsCaptured) {
  Apply({.dns_capture = true});
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 53}), "DNS port");
}

TEST_P(DnsCapture, TheTunnelsOwnQuestionsReachTheServerInAZoneOfTheirOwn) {
  Apply({.dns_capture = true});
  WatchZone();
  const UniqueFd server = BindUdp(peer(), {PeerIp(), 53});
  const UniqueFd tunnel = ConnectUdp(pod(), {PeerIp(), 53}, kTunnelMark);
  Write(tunnel, "question");
  EXPECT_EQ(Answer(server), "question");
  EXPECT_EQ(Read(tunnel), "re: question");
  EXPECT_EQ(Count("out"), "packets 1\n");
  EXPECT_EQ(Count("in"), "packets 1\n");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 53}, {.mark = kTunnelMark}), "peer");
}

TEST_P(DnsCapture, AQuestionToLoopbackIsLeftAlone) {
  Apply({.dns_capture = true});
  const UniqueFd local = BindUdp(pod(), {Loopback(), 53});
  const UniqueFd app = ConnectUdp(pod(), {Loopback(), 53});
  Write(app, "question");
  EXPECT_EQ(Answer(local), "question");
  EXPECT_EQ(Read(app), "re: question");
}

TEST_P(DnsCapture, WhenOffUdpGoesOutAndTcpIsOrdinaryOutbound) {
  Apply({.dns_capture = true});
  Apply({});
  WatchZone();
  const UniqueFd server = BindUdp(peer(), {PeerIp(), 53});
  const UniqueFd app = ConnectUdp(pod(), {PeerIp(), 53});
  Write(app, "question");
  EXPECT_EQ(Answer(server), "question");
  EXPECT_EQ(Read(app), "re: question");
  EXPECT_EQ(Count("out"), "packets 0\n");
  EXPECT_EQ(WhoGets(pod(), {PeerIp(), 53}), "outbound port");
}

INSTANTIATE_TEST_SUITE_P(Capture, DnsCapture,
                         ::testing::Values(net::Family::kIpv4, net::Family::kIpv6), FamilyName);

}  // namespace
}  // namespace ambit::redirect
