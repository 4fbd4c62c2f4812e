#include "ztunnel-lite/proxy/testing/pod_network.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/net/netns.h"
#include "ztunnel-lite/proxy/testing/test_netns.h"

namespace ambit::proxy::testing {
namespace {

// The rules of ambit-agent, as far as TCP goes.
constexpr char kRedirect[] = R"(
table inet ambit {
  chain mangle_prerouting {
    type filter hook prerouting priority mangle;
    meta mark & 0xfff == 0x539 ct mark set 0x111
  }
  chain mangle_output {
    type route hook output priority mangle;
    ct mark & 0xfff == 0x111 meta mark set 0x111
  }
  chain nat_prerouting {
    type nat hook prerouting priority dstnat;
    meta l4proto tcp ip daddr != 127.0.0.1 tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006
    meta l4proto tcp ip6 daddr != ::1 tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006
  }
  chain nat_output {
    type nat hook output priority -100;
    meta mark & 0xfff == 0x111 accept
    ip daddr != 127.0.0.1 oifname lo accept
    ip6 daddr != ::1 oifname lo accept
    meta l4proto tcp ip daddr != 127.0.0.1 meta mark & 0xfff != 0x539 redirect to :15001
    meta l4proto tcp ip6 daddr != ::1 meta mark & 0xfff != 0x539 redirect to :15001
  }
}
)";

constexpr char kReplyRoutes[] =
    "ip rule add fwmark 0x111/0xfff pref 32764 lookup 100;"
    "ip route add local 0.0.0.0/0 dev lo table 100;"
    "ip -6 rule add fwmark 0x111/0xfff pref 32764 lookup 100;"
    "ip -6 route add local ::/0 dev lo table 100;";

// The child starts in the namespace of the calling thread.
void RunIn(const UniqueFd& netns, const std::string& commands) {
  auto inside = net::ScopedNetns::Enter(netns.get());
  ASSERT_TRUE(inside) << inside.error().message();
  ASSERT_EQ(std::system(("set -e; " + commands).c_str()), 0) << commands;
}

}  // namespace

PodNetwork::PodNetwork() : fabric_(NewNetns()) {
  RunIn(fabric_, "ip link add br0 type bridge; ip link set br0 up");
}

PodNetwork::Pod PodNetwork::AddPod(int number, Capture capture) {
  std::string id = std::to_string(number);
  Pod pod{NewNetns(), net::IpAddress::Parse("10.9.0." + id).value(),
          net::IpAddress::Parse("fd09::" + id).value()};
  std::string other =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(pod.netns.get());
  RunIn(fabric_, "ip link add v" + id + " type veth peer name eth0 netns " + other +
                     "; ip link set v" + id + " master br0 up");
  RunIn(pod.netns, "ip addr add " + pod.ipv4.ToString() + "/24 dev eth0; ip -6 addr add " +
                       pod.ipv6.ToString() +
                       "/64 dev eth0 nodad; ip link set eth0 up;"
                       "ip route add default dev eth0; ip -6 route add default dev eth0;"
                       "timeout 10 sh -c 'until ip -6 route show table local |"
                       " grep -q \"local " +
                       pod.ipv6.ToString() + " \"; do :; done'");
  if (capture == Capture::kYes) {
    RunIn(pod.netns, std::string(kReplyRoutes) + "nft -f - <<'END'" + kRedirect + "END\n");
  }
  return pod;
}

void PodNetwork::BlackHole(const Pod& pod, const net::IpAddress& address) {
  RunIn(pod.netns,
        "nft 'table inet hole { chain out { type filter hook output priority 0; ip daddr " +
            address.ToString() + " drop; }; }'");
}

}  // namespace ambit::proxy::testing
