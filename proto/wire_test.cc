#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "lib/base/bytes.h"
#include "proto/authorization.pb.h"
#include "proto/discovery.pb.h"
#include "proto/workload.pb.h"
#include "proto/zds.pb.h"

namespace ambit {
namespace {

template <typename Message>
std::string Hex(const Message& message) {
  return HexEncode(AsBytes(message.SerializeAsString()));
}

TEST(ZdsWire, BytesAreThoseOfThePeer) {
  istio::workload::zds::ZdsHello hello;
  hello.set_version(istio::workload::zds::V1);
  EXPECT_EQ(Hex(hello), "0801");

  istio::workload::zds::WorkloadResponse response;
  response.mutable_ack();
  EXPECT_EQ(Hex(response), "0a00");
  response.mutable_ack()->set_error("x");
  EXPECT_EQ(Hex(response), "0a030a0178");

  istio::workload::zds::WorkloadRequest request;
  request.mutable_snapshot_sent();
  EXPECT_EQ(Hex(request), "1a00");
  request.mutable_del()->set_uid("u");
  EXPECT_EQ(Hex(request),
            "12031201"
            "75");
  request.mutable_keep()->set_uid("u");
  EXPECT_EQ(Hex(request), "2a030a0175");
  request.mutable_add()->set_uid("u");
  EXPECT_EQ(Hex(request), "0a030a0175");
}

TEST(WorkloadWire, NumbersAreThoseOfThePeer) {
  istio::workload::Workload workload;
  workload.set_uid("u");
  workload.set_tunnel_protocol(istio::workload::HBONE);
  workload.mutable_capacity()->set_value(3);
  EXPECT_EQ(Hex(workload), "2801a2010175da01020803");
}

TEST(DeltaWire, ResourceNameIsFieldThree) {
  envoy::service::discovery::v3::Resource resource;
  resource.set_name("n");
  resource.set_version("v");
  EXPECT_EQ(Hex(resource), "0a01761a016e");
}

TEST(Wire, UnknownFieldsSurviveARoundTrip) {
  const std::string bytes("\x0a\x01n\xf2\x07\x03new", 9);  // field 126 is not ours
  istio::security::Authorization policy;
  ASSERT_TRUE(policy.ParseFromString(bytes));
  EXPECT_EQ(policy.name(), "n");
  EXPECT_EQ(policy.SerializeAsString(), bytes);
}

}  // namespace
}  // namespace ambit
