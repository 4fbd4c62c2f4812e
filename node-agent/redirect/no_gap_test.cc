#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "node-agent/redirect/testing/captured_pod.h"

namespace ambit::redirect {
namespace {

class NoGap : public CapturedPod {
 protected:
  // Runs the plans in turn, 200 times, while this thread connects; who got how many.
  std::map<std::string, int> Connects(const std::vector<Options>& plans, uint32_t mark) {
    std::vector<netlink::Program> programs;
    for (const Options& options : plans) programs.push_back(*PlanRedirect(options));
    std::atomic<bool> stop = false;
    std::atomic<int> failures = 0;
    std::thread rewriter([&] {
      pod().In([&] {
        for (size_t i = 0; i < 200; ++i) {
          if (!netlink::Run(programs[i % programs.size()])) ++failures;
        }
        stop = true;
        return 0;
      });
    });
    std::map<std::string, int> counts;
    while (!stop) ++counts[WhoGets(pod(), {PeerIp(), 8080}, {.mark = mark})];
    rewriter.join();
    EXPECT_EQ(failures, 0);
    return counts;
  }
};

TEST_P(NoGap, NotOneConnectEscapesWhileThePlanRunsAgainAndAgain) {
  Apply({});
  const auto counts = Connects({Options{}}, 0);
  EXPECT_EQ(counts.size(), 1U);
  EXPECT_GT(counts.at("outbound port"), 200);
}

TEST_P(NoGap, NotOneConnectEscapesWhileThePlanChanges) {
  Apply({});
  const auto counts = Connects(
      {{.dns_capture = true}, {.bypass_inbound = true}, {.virtual_interfaces = {"vm0"}}}, 0);
  EXPECT_EQ(counts.size(), 1U);
  EXPECT_GT(counts.at("outbound port"), 200);
}

TEST_P(NoGap, TheTunnelsConnectsAreExcusedAllTheTime) {
  Apply({});
  const auto counts = Connects({{.dns_capture = true}, Options{}}, kTunnelMark);
  EXPECT_EQ(counts.size(), 1U);
  EXPECT_GT(counts.at("peer"), 200);
}

INSTANTIATE_TEST_SUITE_P(Capture, NoGap, ::testing::Values(net::Family::kIpv4, net::Family::kIpv6),
                         FamilyName);

}  // namespace
}  // namespace ambit::redirect
