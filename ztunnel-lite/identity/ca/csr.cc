#include "ztunnel-lite/identity/ca/csr.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

#include "ztunnel-lite/tls/openssl_ptr.h"

namespace ambit::identity {

namespace {

using tls::BioPtr;
using tls::KeyPtr;
using tls::NamesPtr;
using tls::OpensslDeleter;

using Csr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;

struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * list) const {
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  }
};
using Extensions = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

std::unexpected<Error> LibraryError(const char* what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  ERR_clear_error();
  return Fail(ErrorCode::kResourceExhausted, std::string(what) + ": " + text);
}

std::string Text(const BioPtr& memory) {
  char* data = nullptr;
  auto size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<size_t>(size)};
}

NamesPtr UriName(const std::string& uri) {
  NamesPtr names(GENERAL_NAMES_new());
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (!names || name == nullptr || text == nullptr ||
      ASN1_STRING_set(text, uri.data(), static_cast<int>(uri.size())) != 1) {
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    return nullptr;
  }
  GENERAL_NAME_set0_value(name, GEN_URI, text);
  if (sk_GENERAL_NAME_push(names.get(), name) == 0) {
    GENERAL_NAME_free(name);
    return nullptr;
  }
  return names;
}

bool AddUri(X509_REQ* csr, const std::string& uri) {
  NamesPtr names = UriName(uri);
  if (!names) return false;
  Extensions extensions(sk_X509_EXTENSION_new_null());
  X509_EXTENSION* extension = X509V3_EXT_i2d(NID_subject_alt_name, 1, names.get());
  if (!extensions || extension == nullptr ||
      sk_X509_EXTENSION_push(extensions.get(), extension) == 0) {
    X509_EXTENSION_free(extension);
    return false;
  }
  return X509_REQ_add_extensions(csr, extensions.get()) == 1;
}

}  // namespace

Result<SigningRequest> MakeSigningRequest(const state::Identity& identity) {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return LibraryError("making a P-256 key");
  Csr csr(X509_REQ_new());
  if (!csr || X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(csr.get(), key.get()) != 1 || !AddUri(csr.get(), identity.Uri()) ||
      X509_REQ_sign(csr.get(), key.get(), EVP_sha256()) <= 0) {
    return LibraryError("making a certificate signing request");
  }
  BioPtr key_text(BIO_new(BIO_s_mem()));
  BioPtr csr_text(BIO_new(BIO_s_mem()));
  if (!key_text || !csr_text ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1 ||
      PEM_write_bio_X509_REQ(csr_text.get(), csr.get()) != 1) {
    return LibraryError("writing a certificate signing request");
  }
  return SigningRequest{Text(key_text), Text(csr_text)};
}

}  // namespace ambit::identity
