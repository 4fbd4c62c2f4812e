#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "ztunnel-lite/tls/credential.h"
#include "ztunnel-lite/tls/peer_check.h"
#include "ztunnel-lite/tls/record_bio.h"

// Purpose  one TLS 1.3 connection without I/O: records in, bytes out, and the reverse.
// Threads  one.
// Errors   kPermissionDenied: a certificate was refused, by us (with the reason and the peer's
//          identity) or by the peer (with its alert); kProtocol: TLS broken by the peer.
// Source   RFC 8446.
namespace ambit::tls {

class SslSession {
 public:
  // The peer must present one of `expected_sans`; an empty list matches nobody. `sink` outlives the
  // session and takes every record at once.
  static Result<std::unique_ptr<SslSession>> Client(CredentialPtr credential,
                                                    std::vector<std::string> expected_sans,
                                                    CipherSink& sink,
                                                    const PeerRules* rules = nullptr);
  // The peer must present a certificate of our own trust domain. `rules`, here and above, may be
  // null and outlives the session otherwise.
  static Result<std::unique_ptr<SslSession>> Server(CredentialPtr credential, CipherSink& sink,
                                                    const PeerRules* rules = nullptr);

  // What one recv brought; borrowed until Handshake and Read have taken all of it, which the caller
  // sees to before the next call.
  void SetInput(ByteSpan records) { transport_.input = records; }

  // True once both sides are authenticated; false: more input is needed. After an error the alert
  // for the peer is in the sink.
  Result<bool> Handshake();
  // Decrypts one record into `out`. 0: more input is needed, or closed() has become true.
  Result<size_t> Read(std::span<std::byte> out);
  // What SetInput brought is used up, and Read would return 0; asking this costs nothing.
  bool drained() const { return transport_.input.empty() && SSL_pending(ssl_.get()) == 0; }
  // Encrypts all of it, as few records as possible.
  Result<void> Write(ByteSpan bytes);
  // close_notify; nothing can be written afterwards.
  void Close();

  // After the handshake: fails with kPermissionDenied if the peer's certificate is revoked by now.
  Result<void> RecheckPeer() const;

  // The peer sent close_notify.
  bool closed() const { return closed_; }
  // SPIFFE URI, empty before the handshake is done.
  const std::string& peer_identity() const { return check_.identity; }

 private:
  explicit SslSession(CredentialPtr credential) : credential_(std::move(credential)) {}
  static Result<std::unique_ptr<SslSession>> Make(std::unique_ptr<SslSession> session,
                                                  SSL_CTX* context, CipherSink& sink);
  Error TakeError(std::string_view during);

  CredentialPtr credential_;
  PeerCheck check_;
  RecordTransport transport_;
  SslPtr ssl_;
  bool closed_ = false;
};

}  // namespace ambit::tls
