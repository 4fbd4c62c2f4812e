#pragma once

#include <openssl/types.h>

#include <string>
#include <vector>

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

  std::string identity;  // out: the peer's first SPIFFE URI
  std::string refusal;   // out: the operator's sentence, empty while nothing was refused
};

// URI names of the certificate that are workload identities, in order; others are left out.
std::vector<std::string> SpiffeUris(X509* certificate);

// Chain, validity, usage, then the demand. Returns 1 when the peer is accepted, otherwise 0 with
// the refusal set. A store without PeerCheck (see AttachPeerCheck) accepts nobody.
int VerifyPeer(X509_STORE_CTX* store, void*);

// `check` outlives the handshake of `ssl`.
void AttachPeerCheck(SSL* ssl, PeerCheck& check);

}  // namespace ambit::tls
