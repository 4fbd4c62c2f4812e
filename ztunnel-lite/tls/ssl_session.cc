#include "ztunnel-lite/tls/ssl_session.h"

#include <openssl/err.h>

namespace ambit::tls {
namespace {

// OpenSSL reports a received alert as a reason of this offset plus the alert's number.
bool IsCertificateAlert(int reason) {
  switch (reason - SSL_AD_REASON_OFFSET) {
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<SslSession>> SslSession::Make(std::unique_ptr<SslSession> session,
                                                     SSL_CTX* context, CipherSink& sink) {
  session->transport_.sink = &sink;
  session->ssl_.reset(SSL_new(context));
  if (!session->ssl_) {
    return Fail(ErrorCode::kResourceExhausted, "TLS session: " + TakeOpensslError());
  }
  BIO* bio = MakeRecordBio(session->transport_).release();
  SSL_set_bio(session->ssl_.get(), bio, bio);
  AttachPeerCheck(session->ssl_.get(), session->check_);
  return session;
}

Result<std::unique_ptr<SslSession>> SslSession::Client(CredentialPtr credential,
                                                       std::vector<std::string> expected_sans,
                                                       CipherSink& sink, const PeerRules* rules) {
  SSL_CTX* context = credential->client_context();
  std::unique_ptr<SslSession> session(new SslSession(std::move(credential)));
  session->check_.demand = PeerCheck::Demand::kExactIdentity;
  session->check_.expected = std::move(expected_sans);
  session->check_.rules = rules;
  auto made = Make(std::move(session), context, sink);
  if (made) SSL_set_connect_state((*made)->ssl_.get());
  return made;
}

Result<std::unique_ptr<SslSession>> SslSession::Server(CredentialPtr credential, CipherSink& sink,
                                                       const PeerRules* rules) {
  SSL_CTX* context = credential->server_context();
  std::unique_ptr<SslSession> session(new SslSession(std::move(credential)));
  session->check_.demand = PeerCheck::Demand::kTrustDomain;
  session->check_.trust_domain = session->credential_->identity().trust_domain;
  session->check_.rules = rules;
  auto made = Make(std::move(session), context, sink);
  if (made) SSL_set_accept_state((*made)->ssl_.get());
  return made;
}

Result<bool> SslSession::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return true;
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return false;
  return Fail(TakeError("TLS handshake"));
}

Result<void> SslSession::RecheckPeer() const {
  if (check_.rules == nullptr || check_.rules->revocations == nullptr) return {};
  const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl_.get());
  if (chain == nullptr) {
    check_.rules->revocations->CountUntracked();
    return {};
  }
  auto revoked = FindRevocation(check_, chain);
  if (revoked) return Fail(ErrorCode::kPermissionDenied, *revoked);
  return {};
}

Result<size_t> SslSession::Read(std::span<std::byte> out) {
  ERR_clear_error();
  size_t read = 0;
  if (SSL_read_ex(ssl_.get(), out.data(), out.size(), &read) == 1) return read;
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      closed_ = true;
      return 0;
    default:
      return Fail(TakeError("TLS"));
  }
}

Result<void> SslSession::Write(ByteSpan bytes) {
  ERR_clear_error();
  size_t written = 0;
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1) return {};
  return Fail(TakeError("TLS write"));
}

void SslSession::Close() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

Error SslSession::TakeError(std::string_view during) {
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const std::string text = TakeOpensslError();
  const std::string ours = credential_->identity().Uri();
  if (!check_.refusal.empty()) return Error(ErrorCode::kPermissionDenied, check_.refusal);
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    return Error(ErrorCode::kPermissionDenied,
                 "the peer presented no certificate; is it part of the mesh?");
  }
  if (reason == SSL_R_NO_APPLICATION_PROTOCOL) {
    return Error(ErrorCode::kProtocol, "TLS: the peer's ALPN list lacks h2");
  }
  if (IsCertificateAlert(reason)) {
    return Error(ErrorCode::kPermissionDenied, "the peer refused the certificate of " + ours +
                                                   " (" + text +
                                                   "); its mesh root or trust domain may differ");
  }
  return Error(ErrorCode::kProtocol, std::string(during) + ": " + text);
}

}  // namespace ambit::tls
