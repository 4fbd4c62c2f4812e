#include "ztunnel-lite/tls/credential.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>

#include "ztunnel-lite/tls/openssl_ptr.h"
#include "ztunnel-lite/tls/peer_check.h"

namespace ambit::tls {
namespace {

BioPtr ReadOnly(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::unexpected<Error> Bad(const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, what + ": " + TakeOpensslError());
}

Result<KeyPtr> ParseKey(const std::string& pem) {
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(ReadOnly(pem).get(), nullptr, nullptr, nullptr));
  if (!key) return Bad("private key is no PEM key");
  return key;
}

Result<std::vector<X509Ptr>> ParseCertificates(const std::string& pem, const std::string& what) {
  ERR_clear_error();
  std::vector<X509Ptr> certificates;
  BioPtr in = ReadOnly(pem);
  while (X509* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(one);
  }
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_REASON(code) != PEM_R_NO_START_LINE) return Bad(what + " does not parse");
  ERR_clear_error();
  if (certificates.empty())
    return Fail(ErrorCode::kInvalidArgument, what + " holds no certificate");
  return certificates;
}

std::chrono::system_clock::time_point ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  ASN1_TIME_to_tm(time, &parts);
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

// The client offers exactly h2, as RFC 7301 length-prefixed text.
constexpr unsigned char kAlpn[] = {2, 'h', '2'};

int SelectH2(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
             unsigned int in_length, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_length, kAlpn, sizeof(kAlpn), in, in_length) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

struct Material {
  EVP_PKEY* key;
  const std::vector<X509Ptr>& chain;
  const std::vector<X509Ptr>& roots;
};

bool Fill(SSL_CTX* context, const Material& material) {
  bool ok =
      SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
      SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256") == 1 &&
      SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
      SSL_CTX_use_certificate(context, material.chain.front().get()) == 1 &&
      SSL_CTX_use_PrivateKey(context, material.key) == 1;
  for (size_t i = 1; ok && i < material.chain.size(); ++i) {
    ok = SSL_CTX_add1_chain_cert(context, material.chain[i].get()) == 1;
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const X509Ptr& root : material.roots) {
    ok = ok && X509_STORE_add_cert(store, root.get()) == 1;
  }
  // Any certificate of the bundle is an anchor, also one that is not self-signed.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_cert_verify_callback(context, VerifyPeer, nullptr);
  // RELEASE_BUFFERS: an idle connection keeps no record buffer.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  return ok;
}

Result<SslContextPtr> MakeServer(const Material& material) {
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context || !Fill(context.get(), material)) return Bad("TLS server context");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  for (const X509Ptr& root : material.roots) SSL_CTX_add_client_CA(context.get(), root.get());
  SSL_CTX_set_alpn_select_cb(context.get(), SelectH2, nullptr);
  return context;
}

Result<SslContextPtr> MakeClient(const Material& material) {
  SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context || !Fill(context.get(), material)) return Bad("TLS client context");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_set_alpn_protos(context.get(), kAlpn, sizeof(kAlpn)) != 0) return Bad("ALPN");
  return context;
}

}  // namespace

Result<std::shared_ptr<const Credential>> Credential::Make(const std::string& key_pem,
                                                           const std::string& chain_pem,
                                                           const std::string& roots_pem,
                                                           const state::Identity& expected) {
  auto key = ParseKey(key_pem);
  if (!key) return std::unexpected(key.error());
  auto chain = ParseCertificates(chain_pem, "certificate chain");
  if (!chain) return std::unexpected(chain.error());
  auto roots = ParseCertificates(roots_pem, "root bundle");
  if (!roots) return std::unexpected(roots.error());
  X509* leaf = chain->front().get();
  if (X509_check_private_key(leaf, key->get()) != 1) {
    return Bad("the private key does not belong to the leaf of " + expected.Uri());
  }
  const auto uris = SpiffeUris(leaf);
  if (uris.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "the leaf certificate carries no SPIFFE identity");
  }
  if (uris.front() != expected.Uri()) {
    return Fail(ErrorCode::kInvalidArgument,
                "the CA issued " + uris.front() + " where " + expected.Uri() + " was asked for");
  }
  const Material material{key->get(), *chain, *roots};
  auto server = MakeServer(material);
  if (!server) return std::unexpected(server.error());
  auto client = MakeClient(material);
  if (!client) return std::unexpected(client.error());
  std::shared_ptr<Credential> made(new Credential);
  made->identity_ = expected;
  made->not_before_ = ToTime(X509_get0_notBefore(leaf));
  made->not_after_ = ToTime(X509_get0_notAfter(leaf));
  made->chain_pem_ = chain_pem;
  made->roots_pem_ = roots_pem;
  made->server_context_ = server->release();
  made->client_context_ = client->release();
  return made;
}

Credential::~Credential() {
  SSL_CTX_free(server_context_);
  SSL_CTX_free(client_context_);
}

}  // namespace ambit::tls
