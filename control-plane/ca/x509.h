#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

// Purpose  the few X.509 operations of a certificate authority, on OpenSSL. No files, no clock.
// Threads  any, with distinct objects; a finished key or certificate may be shared for reading.
namespace ambit::ca {

using TimePoint = std::chrono::system_clock::time_point;

struct OpenSslDelete {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
};
using PrivateKey = std::unique_ptr<EVP_PKEY, OpenSslDelete>;
using PublicKey = std::unique_ptr<EVP_PKEY, OpenSslDelete>;
using Certificate = std::unique_ptr<X509, OpenSslDelete>;

Result<PrivateKey> MakeP256Key();
// PKCS#8 without encryption. Errors  kIo: OpenSSL's own sentence.
Result<std::string> ToPem(const PrivateKey& key);
Result<std::string> ToPem(const Certificate& certificate);
// Errors  kInvalidArgument: no PEM of that kind.
Result<PrivateKey> ParsePrivateKey(std::string_view pem);
Result<Certificate> ParseCertificate(std::string_view pem);

struct Request {
  PublicKey key;
  std::vector<std::string> uri_names;  // of the requested subjectAltName
};
// Checks that the request is signed by its own key. Everything but the key and the URI names is
// dropped.
// Errors  kInvalidArgument: no PEM request, its signature does not verify, a key other than EC
//         P-256 or P-384 or RSA of 2048 to 8192 bits.
Result<Request> ParseRequest(std::string_view pem);

struct LeafOptions {
  std::string common_name;  // may be empty, as for workloads
  std::vector<std::string> uri_names;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_names;
  TimePoint not_before;
  TimePoint not_after;
};

struct Issuer {
  X509* certificate;
  EVP_PKEY* key;
};

// A self-signed authority for the subject name. Errors  kIo.
Result<Certificate> MakeAuthority(const PrivateKey& key, const std::string& common_name,
                                  TimePoint not_before, TimePoint not_after);
// For client and server use, digitalSignature only; subjectAltName is critical without a subject.
// Errors  kIo; kInvalidArgument: a name that OpenSSL refuses.
Result<Certificate> SignLeaf(const Issuer& issuer, EVP_PKEY* subject_key,
                             const LeafOptions& options);

Result<TimePoint> NotAfter(const Certificate& certificate);
bool IsAuthority(const Certificate& certificate);
bool KeyMatches(const Certificate& certificate, const PrivateKey& key);

}  // namespace ambit::ca
