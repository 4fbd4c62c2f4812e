#pragma once

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "control-plane/ca/x509.h"

namespace ambit::ca {

// A certificate request as a client makes it, signed by `signer` (normally the key itself).
inline std::string RequestPem(EVP_PKEY* key, EVP_PKEY* signer,
                              const std::vector<std::string>& uris) {
  std::unique_ptr<X509_REQ, OpenSslDelete> request(X509_REQ_new());
  X509_REQ_set_version(request.get(), 0);
  X509_REQ_set_pubkey(request.get(), key);
  if (!uris.empty()) {
    std::string names;
    for (const std::string& uri : uris) names += (names.empty() ? "URI:" : ",URI:") + uri;
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                                           ("critical," + names).c_str()));
    X509_REQ_add_extensions(request.get(), extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  X509_REQ_sign(request.get(), signer, EVP_sha256());
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(memory, request.get());
  char* data = nullptr;
  long size = BIO_get_mem_data(memory, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(memory);
  return pem;
}

// OpenSSL's own verdict on a leaf: "ok" or its reason.
inline std::string Verify(const std::string& leaf_pem, const std::string& root_pem, int purpose) {
  auto leaf = ParseCertificate(leaf_pem);
  auto root = ParseCertificate(root_pem);
  if (!leaf || !root) return "no PEM";
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root->get());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf->get(), nullptr);
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
  X509_STORE_CTX_set_purpose(context, purpose);
  X509_verify_cert(context);
  int code = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return X509_verify_cert_error_string(code);
}

}  // namespace ambit::ca
