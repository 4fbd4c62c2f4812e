#include "ztunnel-lite/xds/node.h"

#include <gtest/gtest.h>

namespace ambit::xds {
namespace {

TEST(Node, CarriesWhoWeAreAndTheMetadata) {
  config::Config config;
  config.pod_name = "ztunnel-x";
  config.pod_namespace = "istio-system";
  config.node_name = "node-1";
  config.proxy_metadata = {{"DNS_CAPTURE", "true"}};
  config.proxy_metadata_json = {{"LABELS", "{\"a\": 1}"}};
  auto node = MakeNode(config);
  ASSERT_TRUE(node.has_value());
  EXPECT_EQ(node->id(), "ztunnel~1.1.1.1~ztunnel-x.istio-system~istio-system.svc.cluster.local");
  const auto& fields = node->metadata().fields();
  EXPECT_EQ(fields.at("NAME").string_value(), "ztunnel-x");
  EXPECT_EQ(fields.at("NODE_NAME").string_value(), "node-1");
  EXPECT_EQ(fields.at("DNS_CAPTURE").string_value(), "true");
  EXPECT_EQ(fields.at("LABELS").struct_value().fields().at("a").number_value(), 1);
}

TEST(Node, RefusesMetadataThatIsNotJson) {
  config::Config config;
  config.proxy_metadata_json = {{"LABELS", "{"}};
  EXPECT_FALSE(MakeNode(config).has_value());
}

}  // namespace
}  // namespace ambit::xds
