#include "ztunnel-lite/identity/ca/test_ca.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace ambit::identity {

namespace {

void Check(bool good) {
  if (!good) std::abort();
}

std::string Text(BIO* memory) {
  char* data = nullptr;
  auto size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free_all(memory);
  return text;
}

std::string PemOf(X509* certificate) {
  BIO* memory = BIO_new(BIO_s_mem());
  Check(PEM_write_bio_X509(memory, certificate) == 1);
  return Text(memory);
}

std::string PemOf(EVP_PKEY* key) {
  BIO* memory = BIO_new(BIO_s_mem());
  Check(PEM_write_bio_PKCS8PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Text(memory);
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  Check(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

// Unsigned yet; the caller frees it.
X509* NewCertificate(EVP_PKEY* key, std::chrono::seconds lifetime) {
  static int64_t serial = 1;
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -1);
  X509_gmtime_adj(X509_getm_notAfter(certificate), static_cast<long>(lifetime.count()));
  Check(X509_set_pubkey(certificate, key) == 1);
  return certificate;
}

X509_REQ* ReadCsr(const std::string& csr_pem) {
  BIO* memory = BIO_new_mem_buf(csr_pem.data(), static_cast<int>(csr_pem.size()));
  X509_REQ* csr = PEM_read_bio_X509_REQ(memory, nullptr, nullptr, nullptr);
  BIO_free_all(memory);
  return csr;
}

}  // namespace

struct TestCa::Keys {
  EVP_PKEY* key = nullptr;
  X509* root = nullptr;
};

TestCa::TestCa() : keys_(std::make_unique<Keys>()) {
  keys_->key = EVP_EC_gen("P-256");
  keys_->root = NewCertificate(keys_->key, std::chrono::hours(24));
  X509_NAME* name = X509_get_subject_name(keys_->root);
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  Check(X509_set_issuer_name(keys_->root, name) == 1);
  AddExtension(keys_->root, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(keys_->root, NID_key_usage, "critical,keyCertSign,cRLSign");
  Check(X509_sign(keys_->root, keys_->key, EVP_sha256()) > 0);
  root_pem_ = PemOf(keys_->root);
}

TestCa::~TestCa() {
  X509_free(keys_->root);
  EVP_PKEY_free(keys_->key);
}

TestCa::Issued TestCa::IssueServer(const std::string& names) const {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = NewCertificate(key, std::chrono::hours(1));
  Check(X509_set_issuer_name(certificate, X509_get_subject_name(keys_->root)) == 1);
  AddExtension(certificate, NID_subject_alt_name, names);
  Check(X509_sign(certificate, keys_->key, EVP_sha256()) > 0);
  Issued issued{PemOf(key), PemOf(certificate)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return issued;
}

std::string TestCa::UriOf(const std::string& csr_pem) {
  X509_REQ* csr = ReadCsr(csr_pem);
  if (csr == nullptr) return "";
  std::string uri;
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(csr);
  int critical = 0;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, nullptr));
  bool verified = X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr)) == 1;
  if (verified && critical == 1 && names != nullptr && sk_GENERAL_NAME_num(names) == 1) {
    GENERAL_NAME* name = sk_GENERAL_NAME_value(names, 0);
    if (name->type == GEN_URI) {
      uri.assign(
          reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier)),
          static_cast<size_t>(ASN1_STRING_length(name->d.uniformResourceIdentifier)));
    }
  }
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  X509_REQ_free(csr);
  return uri;
}

std::string TestCa::Sign(const std::string& csr_pem, std::chrono::seconds lifetime,
                         const std::string& uri) const {
  X509_REQ* csr = ReadCsr(csr_pem);
  Check(csr != nullptr);
  X509* certificate = NewCertificate(X509_REQ_get0_pubkey(csr), lifetime);
  Check(X509_set_issuer_name(certificate, X509_get_subject_name(keys_->root)) == 1);
  AddExtension(certificate, NID_subject_alt_name,
               "critical,URI:" + (uri.empty() ? UriOf(csr_pem) : uri));
  Check(X509_sign(certificate, keys_->key, EVP_sha256()) > 0);
  std::string pem = PemOf(certificate);
  X509_free(certificate);
  X509_REQ_free(csr);
  return pem;
}

}  // namespace ambit::identity
