#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>

#include "control-plane/ca/x509.h"

namespace ambit::ca {
namespace {

std::unexpected<Error> Failed(const std::string& what) {
  unsigned long first = ERR_get_error();
  ERR_clear_error();
  std::array<char, 256> reason{};
  ERR_error_string_n(first, reason.data(), reason.size());
  return Fail(ErrorCode::kIo, what + ": " + reason.data());
}

// 127 random bits: positive, and within the 20 bytes that RFC 5280 allows.
bool SetRandomSerial(X509* certificate) {
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_new(), BN_free);
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetTimes(X509* certificate, TimePoint not_before, TimePoint not_after) {
  using Clock = std::chrono::system_clock;
  return ASN1_TIME_set(X509_getm_notBefore(certificate), Clock::to_time_t(not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), Clock::to_time_t(not_after)) != nullptr;
}

bool SetCommonName(X509* certificate, const std::string& name) {
  if (name.empty()) return true;
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.data()),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) return false;
  bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Built by hand: in OpenSSL's configuration syntax a ',' in a name would start another one.
bool AddName(GENERAL_NAMES* names, int type, const std::string& text) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (name == nullptr) return false;
  ASN1_STRING* value = nullptr;
  if (type == GEN_IPADD) {
    value = a2i_IPADDRESS(text.c_str());
  } else {
    value = ASN1_STRING_type_new(V_ASN1_IA5STRING);
    if (value != nullptr &&
        ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) != 1) {
      ASN1_STRING_free(value);
      value = nullptr;
    }
  }
  if (value == nullptr) {
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

Result<void> AddNames(X509* certificate, const LeafOptions& options) {
  std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(GENERAL_NAMES_new(),
                                                                      GENERAL_NAMES_free);
  auto add_all = [&names](int type, const std::vector<std::string>& texts) -> Result<void> {
    for (const std::string& text : texts) {
      if (AddName(names.get(), type, text)) continue;
      ERR_clear_error();
      return Fail(ErrorCode::kInvalidArgument, "\"" + text + "\" cannot be a certificate's name");
    }
    return {};
  };
  for (auto result : {add_all(GEN_URI, options.uri_names), add_all(GEN_DNS, options.dns_names),
                      add_all(GEN_IPADD, options.ip_names)}) {
    if (!result) return result;
  }
  int critical = options.common_name.empty() ? 1 : 0;
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), critical, 0) != 1) {
    return Failed("adding names to a certificate");
  }
  return {};
}

Result<Certificate> Start(EVP_PKEY* subject_key, const std::string& common_name,
                          TimePoint not_before, TimePoint not_after) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetRandomSerial(certificate.get()) || !SetTimes(certificate.get(), not_before, not_after) ||
      !SetCommonName(certificate.get(), common_name) ||
      X509_set_pubkey(certificate.get(), subject_key) != 1) {
    return Failed("making a certificate");
  }
  return certificate;
}

}  // namespace

Result<Certificate> MakeAuthority(const PrivateKey& key, const std::string& common_name,
                                  TimePoint not_before, TimePoint not_after) {
  auto made = Start(key.get(), common_name, not_before, not_after);
  if (!made) return made;
  X509* certificate = made->get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1 ||
      !AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE") ||
      !AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(certificate, certificate, NID_subject_key_identifier, "hash") ||
      X509_sign(certificate, key.get(), EVP_sha256()) == 0) {
    return Failed("making the root certificate");
  }
  return made;
}

Result<Certificate> SignLeaf(const Issuer& issuer, EVP_PKEY* subject_key,
                             const LeafOptions& options) {
  auto made = Start(subject_key, options.common_name, options.not_before, options.not_after);
  if (!made) return made;
  X509* certificate = made->get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate)) != 1 ||
      !AddExtension(certificate, issuer.certificate, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(certificate, issuer.certificate, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(certificate, issuer.certificate, NID_ext_key_usage, "clientAuth,serverAuth") ||
      !AddExtension(certificate, issuer.certificate, NID_subject_key_identifier, "hash") ||
      !AddExtension(certificate, issuer.certificate, NID_authority_key_identifier, "keyid")) {
    return Failed("making a certificate");
  }
  auto named = AddNames(certificate, options);
  if (!named) return Fail(named.error());
  if (X509_sign(certificate, issuer.key, EVP_sha256()) == 0) return Failed("signing a certificate");
  return made;
}

}  // namespace ambit::ca
