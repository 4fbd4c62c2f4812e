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
  AddExtension(certificate_.get(), certificate_.get(), NID_key_usage,
               "critical,keyCertSign,cRLSign");
  AddExtension(certificate_.get(), certificate_.get(), NID_subject_key_identifier, "hash");
  Must(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0, "root signature");
  root_pem_ = Pem(certificate_.get());
}

TestMeshCa::TestMeshCa(const TestMeshCa& parent, const std::string& name)
    : key_(EVP_EC_gen("P-256")), root_pem_(parent.root_pem_) {
  certificate_ = Begin(key_.get(), std::chrono::hours(-1), std::chrono::hours(24));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate_.get()), "O", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(parent.certificate_.get()));
  AddExtension(certificate_.get(), parent.certificate_.get(), NID_basic_constraints,
               "critical,CA:TRUE");
  AddExtension(certificate_.get(), parent.certificate_.get(), NID_key_usage,
               "critical,keyCertSign,cRLSign");
  Must(X509_sign(certificate_.get(), parent.key_.get(), EVP_sha256()) > 0, "signature");
  chain_pem_ = Pem(certificate_.get()) + parent.chain_pem_;
}

TestMeshCa TestMeshCa::Intermediate() const { return TestMeshCa(*this, "test intermediate"); }

std::string TestMeshCa::Crl(const std::vector<std::string>& revoked,
                            std::chrono::seconds next_update) const {
  std::unique_ptr<X509_CRL, OpensslDeleter<X509_CRL_free>> list(X509_CRL_new());
  X509_CRL_set_version(list.get(), 1);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
  using TimePtr = std::unique_ptr<ASN1_TIME, OpensslDeleter<ASN1_TIME_free>>;
  TimePtr last(X509_gmtime_adj(nullptr, -7200)),
      next(X509_gmtime_adj(nullptr, next_update.count()));
  X509_CRL_set1_lastUpdate(list.get(), last.get());
  X509_CRL_set1_nextUpdate(list.get(), next.get());
  for (const std::string& pem : revoked) {
    BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    X509Ptr certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    Must(certificate != nullptr, "certificate to revoke");
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.get()));
    X509_REVOKED_set_revocationDate(entry, last.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  X509_CRL_sort(list.get());
  Must(X509_CRL_sign(list.get(), key_.get(), EVP_sha256()) > 0, "CRL signature");
  BioPtr out(BIO_new(BIO_s_mem()));
  Must(PEM_write_bio_X509_CRL(out.get(), list.get()) == 1, "CRL");
  return Drain(std::move(out));
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
  if (chain_pem_.empty()) {
    AddExtension(certificate.get(), certificate_.get(), NID_authority_key_identifier, "keyid");
  }
  Must(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0, "leaf signature");
  return {Pem(key.get()), Pem(certificate.get()) + chain_pem_};
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
