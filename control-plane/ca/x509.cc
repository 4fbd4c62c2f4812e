#include "control-plane/ca/x509.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <climits>
#include <ctime>
#include <utility>

namespace ambit::ca {
namespace {

struct BioDelete {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Memory = std::unique_ptr<BIO, BioDelete>;

// OpenSSL's reason for the last failure, with what was tried; empties its queue.
std::unexpected<Error> Failed(ErrorCode code, const std::string& what) {
  unsigned long first = ERR_get_error();
  ERR_clear_error();
  std::array<char, 256> reason{};
  ERR_error_string_n(first, reason.data(), reason.size());
  return Fail(code, first == 0 ? what : what + ": " + reason.data());
}

Memory Reading(std::string_view text) {
  if (text.size() > INT_MAX) text = {};
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TextOf(const Memory& memory) {
  char* data = nullptr;
  long size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<size_t>(size)};
}

// Without a callback OpenSSL would ask the terminal for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

bool IsGoodKey(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8192;
  }
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return false;
  std::string_view name(group.data());
  return name == "prime256v1" || name == "P-256" || name == "secp384r1" || name == "P-384";
}

std::vector<std::string> UriNamesOf(X509_REQ* request) {
  std::vector<std::string> uris;
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  auto* names = static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<size_t>(ASN1_STRING_length(text)));
  }
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  ERR_clear_error();
  return uris;
}

}  // namespace

Result<PrivateKey> MakeP256Key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return Failed(ErrorCode::kIo, "making a P-256 key");
  return key;
}

Result<std::string> ToPem(const PrivateKey& key) {
  Memory memory(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return Failed(ErrorCode::kIo, "writing a private key as PEM");
  }
  return TextOf(memory);
}

Result<std::string> ToPem(const Certificate& certificate) {
  Memory memory(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(memory.get(), certificate.get()) != 1) {
    return Failed(ErrorCode::kIo, "writing a certificate as PEM");
  }
  return TextOf(memory);
}

Result<PrivateKey> ParsePrivateKey(std::string_view pem) {
  PrivateKey key(PEM_read_bio_PrivateKey(Reading(pem).get(), nullptr, NoPassphrase, nullptr));
  if (!key) return Failed(ErrorCode::kInvalidArgument, "no private key in PEM");
  return key;
}

Result<Certificate> ParseCertificate(std::string_view pem) {
  Certificate certificate(PEM_read_bio_X509(Reading(pem).get(), nullptr, NoPassphrase, nullptr));
  if (!certificate) return Failed(ErrorCode::kInvalidArgument, "no certificate in PEM");
  return certificate;
}

Result<Request> ParseRequest(std::string_view pem) {
  std::unique_ptr<X509_REQ, OpenSslDelete> request(
      PEM_read_bio_X509_REQ(Reading(pem).get(), nullptr, NoPassphrase, nullptr));
  if (!request) return Failed(ErrorCode::kInvalidArgument, "no certificate request in PEM");
  PublicKey key(X509_REQ_get_pubkey(request.get()));
  if (!key) return Failed(ErrorCode::kInvalidArgument, "the certificate request has no usable key");
  // Before the signature: checking one with a huge key costs the server much.
  if (!IsGoodKey(key.get())) {
    return Fail(ErrorCode::kInvalidArgument,
                "the key of the certificate request is neither EC P-256 or P-384 nor RSA of 2048 "
                "to 8192 bits");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    return Failed(ErrorCode::kInvalidArgument,
                  "the certificate request is not signed by its own key");
  }
  return Request{std::move(key), UriNamesOf(request.get())};
}

Result<TimePoint> NotAfter(const Certificate& certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &time) != 1) {
    return Failed(ErrorCode::kInvalidArgument, "the certificate's end of validity is no time");
  }
  return std::chrono::system_clock::from_time_t(timegm(&time));
}

bool IsAuthority(const Certificate& certificate) { return X509_check_ca(certificate.get()) == 1; }

bool KeyMatches(const Certificate& certificate, const PrivateKey& key) {
  bool matches = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return matches;
}

}  // namespace ambit::ca
