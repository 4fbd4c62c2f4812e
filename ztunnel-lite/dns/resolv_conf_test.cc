#include "ztunnel-lite/dns/resolv_conf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::dns {
namespace {

std::vector<std::string> Servers(std::string_view text) {
  std::vector<std::string> servers;
  for (const auto& server : ParseResolvConf(text)) servers.push_back(server.ToString());
  return servers;
}

TEST(ResolvConf, GivesItsNameserversInOrder) {
  EXPECT_THAT(Servers("search a.b\nnameserver 10.96.0.10\n  nameserver\tfd00::53 # second\n"
                      "options ndots:5\n"),
              testing::ElementsAre("10.96.0.10:53", "[fd00::53]:53"));
}

TEST(ResolvConf, SkipsWhatDoesNotParse) {
  EXPECT_THAT(Servers("#nameserver 1.1.1.1\nnameserver\nnameserver x\nnameservers 1.1.1.1\n"),
              testing::IsEmpty());
}

TEST(ResolvConf, HasThreeAtMost) {
  EXPECT_EQ(Servers("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n"
                    "nameserver 1.1.1.4\n")
                .size(),
            3u);
}

TEST(ResolvConf, TheLastSearchListCounts) {
  EXPECT_THAT(
      ParseSearchDomains("domain a.b\nsearch Shop.svc.Cluster.local. x\nnameserver 1.1.1.1\n"),
      testing::ElementsAre("shop.svc.cluster.local", "x"));
  EXPECT_THAT(ParseSearchDomains("search x\nsearch\n"), testing::IsEmpty());
}

TEST(ResolvConf, AFileThatIsNotThereHasNone) {
  auto none = ReadResolvConf("/nonexistent/resolv.conf");
  EXPECT_THAT(none.servers, testing::IsEmpty());
  EXPECT_THAT(none.search, testing::IsEmpty());
}

}  // namespace
}  // namespace ambit::dns
