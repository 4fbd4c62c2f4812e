#pragma once

#include <openssl/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "ztunnel-lite/state/resources.h"

// Purpose  one pod identity's key, certificate chain and roots, with the TLS contexts made of them
//          once, not per connection.
// Threads  immutable after it is made; contexts are shared by all workers.
// Source   RFC 8446; SPIFFE X.509-SVID.
namespace ambit::tls {

class Credential {
 public:
  // PEM texts: PKCS#8 key; leaf first, then intermediates; one or more roots.
  // Errors  kInvalidArgument: text that does not parse, a key that does not belong to the leaf, a
  // leaf
  //         without SPIFFE URI, or another identity than `expected`.
  static Result<std::shared_ptr<const Credential>> Make(const std::string& key_pem,
                                                        const std::string& chain_pem,
                                                        const std::string& roots_pem,
                                                        const state::Identity& expected);
  ~Credential();

  const state::Identity& identity() const { return identity_; }
  std::chrono::system_clock::time_point not_before() const { return not_before_; }
  std::chrono::system_clock::time_point not_after() const { return not_after_; }
  const std::string& chain_pem() const { return chain_pem_; }
  const std::string& roots_pem() const { return roots_pem_; }

  // TLS 1.3 only, ALPN h2, client certificate demanded, peer's trust domain must be ours.
  SSL_CTX* server_context() const { return server_context_; }
  // TLS 1.3 only, ALPN h2, no SNI. The caller checks the server's identity, see VerifyPeer.
  SSL_CTX* client_context() const { return client_context_; }

 private:
  Credential() = default;
  state::Identity identity_;
  std::chrono::system_clock::time_point not_before_, not_after_;
  std::string chain_pem_, roots_pem_;
  SSL_CTX* server_context_ = nullptr;
  SSL_CTX* client_context_ = nullptr;
};

using CredentialPtr = std::shared_ptr<const Credential>;

}  // namespace ambit::tls
