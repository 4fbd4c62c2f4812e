#include "node-agent/probes/probe_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "lib/net/socket.h"
#include "node-agent/redirect/testing/netns_lab.h"

namespace ambit::probes {
namespace {

using net::IpAddress;
using redirect::PodAndPeer;
using redirect::TestNetns;
using ::testing::HasSubstr;
using ::testing::Not;

IpAddress Ip(const std::string& text) { return IpAddress::Parse(text).value(); }

Options MakeOptions() {
  return {.probe_v4 = Ip("169.254.7.127"),
          .probe_v6 = Ip("fd16:9254:7127:1337:ffff:ffff:ffff:ffff")};
}

// On `host`, and with the text of what went wrong.
std::string Replace(const TestNetns& host, ProbeSet& probes, const std::set<IpAddress>& pods) {
  auto done = host.In([&] { return probes.Replace(pods); });
  return done ? "" : done.error().message();
}

std::set<IpAddress> Read(const TestNetns& host, const ProbeSet& probes) {
  return host.In([&] { return probes.Read(); }).value();
}

// The source address with which a connect from `host` arrives at `address`:8080 in `pod`.
std::string SourceSeen(const TestNetns& host, const TestNetns& pod, const std::string& address) {
  const IpAddress target = Ip(address);
  auto listener = pod.In([&] { return net::ListenTcp({IpAddress::Any(target.family()), 0}, {}); });
  const uint16_t port = net::LocalEndpoint(listener->get())->port;
  auto client = host.In([&] { return net::MakeTcpSocket(target.family()); });
  if (!net::StartConnect(client->get(), {target, port})) return "no connect";
  pollfd waiting{.fd = listener->get(), .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, 5000) != 1) return "nothing arrived";
  const UniqueFd accepted(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  return net::PeerEndpoint(accepted.get())->address.ToString();
}

TEST(ProbeSet, IsMadeReadAndRemoved) {
  const TestNetns host;
  ProbeSet probes(MakeOptions());
  EXPECT_TRUE(Read(host, probes).empty());
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.1"), Ip("10.0.0.2"), Ip("fd00::1")}), "");
  EXPECT_EQ(Read(host, probes), (std::set{Ip("10.0.0.1"), Ip("10.0.0.2"), Ip("fd00::1")}));
  EXPECT_EQ(redirect::CompareWithGolden("node-agent/probes/testdata/host.nft",
                                        host.Shell("nft -s list ruleset")),
            "");
  EXPECT_TRUE(host.In([&] { return probes.Remove(); }).has_value());
  EXPECT_TRUE(host.In([&] { return probes.Remove(); }).has_value());
  EXPECT_EQ(host.Shell("nft list ruleset"), "");
}

TEST(ProbeSet, HoldsExactlyTheNewAddressesAfterEachReplace) {
  const TestNetns host;
  ProbeSet probes(MakeOptions());
  const std::vector<std::set<IpAddress>> rounds = {{},
                                                   {Ip("10.0.0.1")},
                                                   {Ip("10.0.0.1"), Ip("10.0.0.2"), Ip("fd00::1")},
                                                   {Ip("10.0.0.2"), Ip("fd00::2")},
                                                   {}};
  for (const auto& round : rounds) {
    ASSERT_EQ(Replace(host, probes, round), "");
    EXPECT_EQ(Read(host, probes), round);
  }
}

std::string Change(const TestNetns& host, ProbeSet& probes, const std::set<IpAddress>& added,
                   const std::set<IpAddress>& removed) {
  auto done = host.In([&] { return probes.Change(added, removed); });
  return done ? "" : done.error().message();
}

TEST(ProbeSet, AChangeAddsAndTakesOutWhatItNames) {
  const TestNetns host;
  ProbeSet probes(MakeOptions());
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.1"), Ip("fd00::1")}), "");
  ASSERT_EQ(Change(host, probes, {Ip("10.0.0.2"), Ip("fd00::2")}, {Ip("10.0.0.1")}), "");
  EXPECT_EQ(Read(host, probes), (std::set{Ip("10.0.0.2"), Ip("fd00::1"), Ip("fd00::2")}));
  ASSERT_EQ(Change(host, probes, {}, {}), "");
  ASSERT_EQ(Change(host, probes, {Ip("10.0.0.2")}, {}), "") << "what is there may be added again";
}

TEST(ProbeSet, AChangeOfATableThatIsNotThereIsRefusedAndAReplaceMakesIt) {
  const TestNetns host;
  ProbeSet probes(MakeOptions());
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.1")}), "");
  host.Shell("nft flush ruleset");
  EXPECT_NE(Change(host, probes, {Ip("10.0.0.2")}, {}), "");
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.2")}), "");
  EXPECT_EQ(Read(host, probes), (std::set{Ip("10.0.0.2")}));
}

TEST(ProbeSet, ManyAddressesFitIntoOneTransaction) {
  const TestNetns host;
  ProbeSet probes(MakeOptions());
  std::set<IpAddress> pods;
  for (int i = 0; i < 3000; ++i) {
    pods.insert(Ip("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250)));
    pods.insert(Ip("fd00::" + std::to_string(i)));
  }
  ASSERT_EQ(Replace(host, probes, pods), "");
  EXPECT_EQ(Read(host, probes), pods);
  ASSERT_EQ(Replace(host, probes, {}), "");
  EXPECT_TRUE(Read(host, probes).empty());
}

TEST(ProbeSet, TheSameRulesAreLeftAloneAndOtherOnesAreReplaced) {
  const TestNetns host;
  ProbeSet probes(MakeOptions());
  ASSERT_EQ(Replace(host, probes, {}), "");
  const std::string before = host.Shell("nft -a list chain inet ambit postrouting");
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.1")}), "");
  EXPECT_EQ(host.Shell("nft -a list chain inet ambit postrouting"), before);

  host.Shell("nft flush chain inet ambit postrouting");
  Options other = MakeOptions();
  other.kubelet_uid = 1234;
  ProbeSet changed(other);
  ASSERT_EQ(Replace(host, changed, {Ip("10.0.0.1")}), "");
  const std::string after = host.Shell("nft -n list chain inet ambit postrouting");
  EXPECT_THAT(after, HasSubstr("meta skuid 1234"));
  EXPECT_THAT(after, Not(HasSubstr("meta skuid 0")));
}

TEST(ProbeSet, WithoutIpv6AddressesOfItAreLeftOut) {
  const TestNetns host;
  Options options = MakeOptions();
  options.ipv6 = false;
  ProbeSet probes(options);
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.1"), Ip("fd00::1")}), "");
  EXPECT_EQ(Read(host, probes), (std::set{Ip("10.0.0.1")}));
  EXPECT_THAT(host.Shell("nft list ruleset"), Not(HasSubstr("ip6")));
}

TEST(ProbeSet, TablesOfOthersStay) {
  const TestNetns host;
  host.Shell("iptables-nft -t nat -A POSTROUTING -p tcp -j ACCEPT; nft add table inet other");
  const std::string before = host.Shell("nft list ruleset");
  ProbeSet probes(MakeOptions());
  ASSERT_EQ(Replace(host, probes, {Ip("10.0.0.1")}), "");
  ASSERT_TRUE(host.In([&] { return probes.Remove(); }).has_value());
  EXPECT_EQ(host.Shell("nft list ruleset"), before);
}

class ProbedPod : public ::testing::Test {
 protected:
  ProbedPod() {
    // Answers to the probe source go back to the host, as over the pod's default route.
    host().AddAddress("169.254.7.127/32", "lo");
    host().AddAddress("fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128", "lo");
  }
  const TestNetns& host() const { return net_.peer; }
  const TestNetns& pod() const { return net_.pod; }

 private:
  PodAndPeer net_;
};

TEST_F(ProbedPod, SeesTheProbeSourceOnlyWhileItsAddressIsInTheSet) {
  ProbeSet probes(MakeOptions());
  ASSERT_EQ(Replace(host(), probes, {}), "");
  EXPECT_EQ(SourceSeen(host(), pod(), "10.77.0.2"), "10.77.0.1");
  EXPECT_EQ(SourceSeen(host(), pod(), "fd77::2"), "fd77::1");
  ASSERT_EQ(Replace(host(), probes, {Ip("10.77.0.2"), Ip("fd77::2")}), "");
  EXPECT_EQ(SourceSeen(host(), pod(), "10.77.0.2"), "169.254.7.127");
  EXPECT_EQ(SourceSeen(host(), pod(), "fd77::2"), "fd16:9254:7127:1337:ffff:ffff:ffff:ffff");
}

TEST_F(ProbedPod, SeesTheRealSourceOfSocketsThatAreNotKubelets) {
  ProbeSet probes(MakeOptions());
  ASSERT_EQ(Replace(host(), probes, {Ip("10.77.0.2")}), "");
  std::string seen;
  std::thread([&] {
    // The namespaces are entered before the privilege goes; sockets carry the uid of their maker.
    const UniqueFd listener =
        pod().In([] { return net::ListenTcp({Ip("10.77.0.2"), 8080}, {}); }).value();
    host().In([&] {
      syscall(SYS_setresuid, -1, 4321, 0);
      auto client = net::MakeTcpSocket(net::Family::kIpv4);
      syscall(SYS_setresuid, -1, 0, 0);
      if (!net::StartConnect(client->get(), {Ip("10.77.0.2"), 8080})) return 0;
      pollfd waiting{.fd = listener.get(), .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, 5000) != 1) return 0;
      const UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      seen = net::PeerEndpoint(accepted.get())->address.ToString();
      return 0;
    });
  }).join();
  EXPECT_EQ(seen, "10.77.0.1");
}

TEST_F(ProbedPod, AnAddressThatStaysIsNeverMissing) {
  ProbeSet probes(MakeOptions());
  const IpAddress stays = Ip("10.77.0.2");
  ASSERT_EQ(Replace(host(), probes, {stays}), "");
  std::atomic<bool> stop = false;
  std::string failure;
  std::thread churn([&] {
    for (int i = 0; !stop && failure.empty(); ++i) {
      std::set<IpAddress> pods = {stays};
      for (int k = 0; k < i % 50; ++k) pods.insert(Ip("10.9.9." + std::to_string(k)));
      failure = Replace(host(), probes, pods);
    }
  });
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(SourceSeen(host(), pod(), "10.77.0.2"), "169.254.7.127") << "connect " << i;
  }
  stop = true;
  churn.join();
  EXPECT_EQ(failure, "");
}

}  // namespace
}  // namespace ambit::probes
