#include "ztunnel-lite/tls/test_credentials.h"

#include <openssl/pem.h>

#include <cstdio>
#include <cstdlib>

namespace ambit::tls {
namespace {

void Must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "test certificates: %s\n", what);
  std::abort();
}

std::string Drain(BioPtr out) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string Pem(X509* certificate) {
  BioPtr out(BIO_new(BIO_s_mem()));
  Must(PEM_write_bio_X509(out.get(), certificate) == 1, "PEM");
  return Drain(std::move(out));
}

std::string Pem(EVP_PKEY* key) {
  BioPtr out(BIO_new(BIO_s_mem()));
  Must(PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1, "PEM");
  return Drain(std::move(out));
}

void AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  Must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, value.c_str());
  X509_EXTENSION_free(extension);
}

X509Ptr Begin(EVP_PKEY* key, std::chrono::seconds from, std::chrono::seconds to) {
  X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), std::rand());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), to.count());
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

}  // namespace

TestMeshCa::TestMeshCa() : key_(EVP_EC_gen("P-256")) {
  certificate_ = Begin(key_.get(), std::chrono::hours(-1), std::chrono::hours(24));
  X509_NAME* name = X509_get_subject_name(certificate_.get());
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test mesh"), -1, -1, 0);
  X509_set_issuer_name(certificate_.get(), name);
  AddExtension(certificate_.get(), certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate_.get(), certificate_.get(), NID_key_usage, "critical,keyCertSign");
  AddExtension(certificate_.get(), certificate_.get(), NID_subject_key_identifier, "hash");
  Must(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0, "root signature");
  root_pem_ = Pem(certificate_.get());
}

TestMeshCa::Issued TestMeshCa::Issue(const Leaf& leaf) const {
  KeyPtr key(EVP_EC_gen("P-256"));
  X509Ptr certificate = Begin(key.get(), leaf.valid_from, leaf.valid_to);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  if (!leaf.uri.empty()) {
    AddExtension(certificate.get(), certificate_.get(), NID_subject_alt_name,
                 "critical,URI:" + leaf.uri);
  }
  AddExtension(certificate.get(), certificate_.get(), NID_ext_key_usage, leaf.key_usage);
  AddExtension(certificate.get(), certificate_.get(), NID_authority_key_identifier, "keyid");
  Must(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0, "leaf signature");
  return {Pem(key.get()), Pem(certificate.get())};
}

CredentialPtr TestMeshCa::Credential(const Leaf& leaf, const std::string& roots_pem) const {
  const Issued issued = Issue(leaf);
  auto identity = state::Identity::Parse(leaf.uri);
  Must(identity.has_value(), "SPIFFE URI");
  auto made = tls::Credential::Make(issued.key_pem, issued.chain_pem,
                                    roots_pem.empty() ? root_pem_ : roots_pem, *identity);
  if (!made) std::fprintf(stderr, "%s\n", made.error().message().c_str());
  Must(made.has_value(), "credential");
  return *made;
}

}  // namespace ambit::tls
