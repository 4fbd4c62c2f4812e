#include "ztunnel-lite/identity/ca/certificate_facts.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>

#include "ztunnel-lite/tls/openssl_ptr.h"

namespace ambit::identity {

namespace {

std::chrono::system_clock::time_point TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

std::string SerialOf(const X509* certificate) {
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), BN_free);
  if (!number) return "";
  char* text = BN_bn2dec(number.get());
  std::string serial = text != nullptr ? text : "";
  OPENSSL_free(text);
  return serial;
}

std::string PemOf(X509* certificate) {
  tls::BioPtr memory(BIO_new(BIO_s_mem()));
  if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) return "";
  char* data = nullptr;
  auto size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

std::vector<CertificateFacts> DescribeCertificates(const std::string& pem) {
  std::vector<CertificateFacts> facts;
  tls::BioPtr memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!memory) return facts;
  for (;;) {
    tls::X509Ptr certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    facts.push_back({PemOf(certificate.get()), SerialOf(certificate.get()),
                     TimeOf(X509_get0_notBefore(certificate.get())),
                     TimeOf(X509_get0_notAfter(certificate.get()))});
  }
  ERR_clear_error();  // the end of the text is an error to OpenSSL
  return facts;
}

}  // namespace ambit::identity
