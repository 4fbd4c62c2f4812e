#include "ztunnel-lite/proxy/failure.h"

#include <gtest/gtest.h>

namespace ambit::proxy {
namespace {

using telemetry::Flag;

TEST(FailureTable, ATimeoutToTheTunnelPortPointsAtANetworkPolicy) {
  EXPECT_EQ(FlagFor(Stage::kConnectTunnel, ErrorCode::kTimedOut), Flag::kNetworkPolicy);
  EXPECT_EQ(FlagFor(Stage::kConnectTunnel, ErrorCode::kUnavailable), Flag::kConnect);
  EXPECT_EQ(FlagFor(Stage::kConnectPlain, ErrorCode::kTimedOut), Flag::kConnect);
}

TEST(FailureTable, CertificatesAndHttp2AreToldApart) {
  EXPECT_EQ(FlagFor(Stage::kCredential, ErrorCode::kUnavailable), Flag::kIdentityError);
  EXPECT_EQ(FlagFor(Stage::kHandshake, ErrorCode::kPermissionDenied), Flag::kTlsFailure);
  EXPECT_EQ(FlagFor(Stage::kHandshake, ErrorCode::kTimedOut), Flag::kTlsFailure);
  EXPECT_EQ(FlagFor(Stage::kHandshake, ErrorCode::kProtocol), Flag::kH2HandshakeFailure);
  EXPECT_EQ(FlagFor(Stage::kAnswer, ErrorCode::kPermissionDenied), Flag::kTlsFailure);
  EXPECT_EQ(FlagFor(Stage::kAnswer, ErrorCode::kProtocol), Flag::kH2HandshakeFailure);
  EXPECT_EQ(FlagFor(Stage::kAnswer, ErrorCode::kUnavailable), Flag::kConnect);
}

TEST(FailureTable, PolicyIsDeny) {
  EXPECT_EQ(FlagFor(Stage::kPolicy, ErrorCode::kPermissionDenied), Flag::kDeny);
  EXPECT_EQ(FailAt(Stage::kPolicy, Error(ErrorCode::kPermissionDenied, "no")).error().flag,
            Flag::kDeny);
}

TEST(FailureTable, TheStatusSaysWhoseFaultItIs) {
  EXPECT_EQ(StatusForRoute(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(StatusForRoute(ErrorCode::kUnavailable), 503);
  const Error refused(ErrorCode::kPermissionDenied, "no");
  EXPECT_EQ(StatusFor(FailAt(Stage::kPolicy, refused).error()), 401);
  // The kernel of the pod said no, not a policy of the mesh.
  EXPECT_EQ(StatusFor(FailAt(Stage::kConnectPlain, refused).error()), 503);
}

}  // namespace
}  // namespace ambit::proxy
