#include "ztunnel-lite/proxy/failure.h"

namespace ambit::proxy {

using telemetry::Flag;

telemetry::Flag FlagFor(Stage stage, ErrorCode code) {
  switch (stage) {
    case Stage::kCredential:
      return Flag::kIdentityError;
    case Stage::kConnectTunnel:
      return code == ErrorCode::kTimedOut ? Flag::kNetworkPolicy : Flag::kConnect;
    case Stage::kHandshake:
      return code == ErrorCode::kProtocol ? Flag::kH2HandshakeFailure : Flag::kTlsFailure;
    case Stage::kAnswer:
      // A certificate that the peer does not like is known only here: in TLS 1.3 the client is done
      // before the server has looked at it.
      if (code == ErrorCode::kPermissionDenied) return Flag::kTlsFailure;
      return code == ErrorCode::kProtocol || code == ErrorCode::kIo ? Flag::kH2HandshakeFailure
                                                                    : Flag::kConnect;
    case Stage::kPolicy:
      return Flag::kDeny;
    case Stage::kConnectPlain:
    case Stage::kRelay:
      return Flag::kConnect;
  }
  std::unreachable();
}

// The kernel's refusals carry an errno; what is left is a peer whose certificate was revoked.
Flag FlagForRelay(const Error& error) {
  bool revoked = error.code() == ErrorCode::kPermissionDenied && error.sys_errno() == 0;
  return revoked ? Flag::kCertRevoked : FlagFor(Stage::kRelay, error.code());
}

std::unexpected<Failure> FailAt(Stage stage, Error error) {
  Flag flag = FlagFor(stage, error.code());
  bool unreached =
      stage == Stage::kConnectTunnel || stage == Stage::kConnectPlain || stage == Stage::kHandshake;
  return std::unexpected(Failure{std::move(error), flag, unreached});
}

int StatusForRoute(ErrorCode code) { return code == ErrorCode::kInvalidArgument ? 400 : 503; }

int StatusFor(const Failure& failure) { return failure.flag == Flag::kDeny ? 401 : 503; }

}  // namespace ambit::proxy
