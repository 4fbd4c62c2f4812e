#include "ztunnel-lite/config/proxy_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(ProxyConfig, NothingSaysNothing) {
  for (const char* text : {"", "{}", "null", "# only a comment", "binaryPath: /x"}) {
    auto config = ParseProxyConfig(text);
    ASSERT_TRUE(config.has_value()) << text;
    EXPECT_FALSE(config->discovery_address || config->admin_port || config->stats_port ||
                 config->concurrency || !config->metadata.empty());
  }
}

TEST(ProxyConfig, IsYamlOrJson) {
  for (const char* text : {"statsPort: 9\nproxyMetadata:\n  ISTIO_META_X: y\n",
                           R"({"statsPort": 9, "proxyMetadata": {"X": "y"}})"}) {
    auto config = ParseProxyConfig(text);
    ASSERT_TRUE(config.has_value()) << text;
    EXPECT_EQ(config->stats_port, 9);
    EXPECT_THAT(config->metadata, ElementsAre(Pair("X", "y")));
  }
}

TEST(ProxyConfig, AMalformedValueIsAnErrorThatNamesTheKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"statsPort: 65536", "statsPort"},
      {"concurrency: -1", "concurrency"},
      {"proxyAdminPort: x", "proxyAdminPort"},
      {"discoveryAddress: 5", "discoveryAddress"},
      {"proxyMetadata: []", "proxyMetadata"},
      {"proxyMetadata: {A: true}", "proxyMetadata.A"},
      {"[1", "document 1"}};
  for (const auto& [text, named] : cases) {
    auto config = ParseProxyConfig(text);
    ASSERT_FALSE(config.has_value()) << text;
    EXPECT_EQ(config.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(config.error().message(), HasSubstr(named));
  }
  EXPECT_FALSE(ParseMeshConfig("defaultConfig: text").has_value());
  EXPECT_FALSE(ParseMeshConfig("- a").has_value());
}

TEST(ProxyConfig, OfAMeshConfigurationIsItsDefault) {
  EXPECT_EQ(ParseMeshConfig("defaultConfig: {concurrency: 2}")->concurrency, 2);
  EXPECT_FALSE(ParseMeshConfig("concurrency: 2")->concurrency.has_value());
  EXPECT_FALSE(ParseMeshConfig("defaultConfig:")->concurrency.has_value());
}

}  // namespace
}  // namespace ambit::config
