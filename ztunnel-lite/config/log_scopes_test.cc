#include "ztunnel-lite/config/log_scopes.h"

#include <gtest/gtest.h>

namespace ambit::config {
namespace {

TEST(LogScopes, AFilterWrittenForZtunnelMeansOurScopes) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"info", "info"},
      {"xds=debug", "xds=debug"},
      {"info,ztunnel::xds=debug,access=off", "info,xds=debug,access=off"},
      {"ztunnel=trace", "trace"},
      {"xds:debug", "xds=debug"},
      {"ztunnel::xds::client:debug", "xds::client=debug"},
      {"ztunnels=debug", "ztunnels=debug"},
      {"hickory_server::server=off,info", "hickory_server::server=off,info"},
      {"loud", "loud"},
  };
  for (const auto& [text, own] : cases) EXPECT_EQ(OwnScopes(text), own);
}

}  // namespace
}  // namespace ambit::config
