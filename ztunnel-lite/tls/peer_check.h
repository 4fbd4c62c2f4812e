#pragma once

#include <openssl/types.h>

#include <optional>
#include <string>
#include <vector>

#include "ztunnel-lite/tls/peer_rules.h"

// Purpose  what a TLS session demands of its peer's certificate, and what it found.
// Threads  belongs to one session.
// Source   facts of the mesh: trust domain on the server side, exact SPIFFE URI on the client side.
namespace ambit::tls {

struct PeerCheck {
  enum class Demand {
    kTrustDomain,   // any SPIFFE URI of the peer is in `trust_domain`
    kExactIdentity  // any SPIFFE URI of the peer is one of `expected`
  };
  Demand demand = Demand::kTrustDomain;
  std::string trust_domain;
  std::vector<std::string> expected;
  const PeerRules* rules = nullptr;  // null: none; otherwise outlives the session

  std::string identity;  // out: the peer's first SPIFFE URI
  std::string refusal;   // out: the operator's sentence, empty while nothing was refused
};

// URI names of the certificate that are workload identities, in order; others are left out.
std::vector<std::string> SpiffeUris(X509* certificate);

// Why a certificate of the verified chain is revoked now; it is counted then.
std::optional<std::string> FindRevocation(const PeerCheck& check, const STACK_OF(X509) * chain);

// Chain, validity, usage, revocation, then the demand. Returns 1 when the peer is accepted,
// otherwise 0 with the refusal set. A store without PeerCheck (see AttachPeerCheck) accepts nobody.
int VerifyPeer(X509_STORE_CTX* store, void*);

// `check` outlives the handshake of `ssl`.
void AttachPeerCheck(SSL* ssl, PeerCheck& check);

}  // namespace ambit::tls
