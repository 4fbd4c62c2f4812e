#include "ztunnel-lite/tls/crl_set.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string_view>

namespace ambit::tls {
namespace {

constexpr std::string_view kPemStart = "-----BEGIN ";

std::unexpected<Error> Bad(const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, what + ": " + TakeOpensslError());
}

// One item of PEM; freed with its parts.
struct PemItem {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;

  PemItem() = default;
  PemItem(const PemItem&) = delete;
  PemItem& operator=(const PemItem&) = delete;
  ~PemItem() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
};

bool MaySignLists(X509* issuer) { return (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0; }

std::string KeyDigest(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_pubkey_digest(certificate, EVP_sha256(), digest, &size) != 1) return "";
  return std::string(reinterpret_cast<const char*>(digest), size);
}

std::string NameText(const X509_NAME* name) {
  BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string SerialText(X509* certificate) {
  BioPtr out(BIO_new(BIO_s_mem()));
  i2a_ASN1_INTEGER(out.get(), X509_get0_serialNumber(certificate));
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

Result<std::shared_ptr<const CrlSet>> CrlSet::Parse(const std::string& text) {
  ERR_clear_error();
  std::shared_ptr<CrlSet> set(new CrlSet);
  Result<void> parsed;
  if (text.find(kPemStart) != std::string::npos) {
    parsed = set->ParsePem(text);
  } else if (text.find_first_not_of(" \t\r\n") != std::string::npos) {
    parsed = set->Add(reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<long>(text.size()));
  }
  if (!parsed) return std::unexpected(parsed.error());
  return set;
}

Result<void> CrlSet::ParsePem(const std::string& text) {
  BioPtr in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  for (;;) {
    PemItem item;
    if (PEM_read_bio(in.get(), &item.name, &item.header, &item.data, &item.size) != 1) {
      const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
      if (!end) return Bad("revocation lists: broken PEM");
      ERR_clear_error();
      return {};
    }
    if (std::string_view(item.name) != PEM_STRING_X509_CRL) continue;
    if (auto added = Add(item.data, item.size); !added) return added;
  }
}

Result<void> CrlSet::Add(const unsigned char* der, long size) {
  const unsigned char* at = der;
  CrlPtr list(d2i_X509_CRL(nullptr, &at, size));
  if (!list) {
    return Bad("revocation list " + std::to_string(lists_.size() + 1) + " does not parse");
  }
  if (at != der + size) {
    return Fail(
        ErrorCode::kInvalidArgument,
        "revocation list " + std::to_string(lists_.size() + 1) + " has bytes after its end");
  }
  X509_CRL_sort(list.get());
  by_issuer_[X509_CRL_get_issuer(list.get())].push_back(lists_.size());
  lists_.push_back(std::move(list));
  return {};
}

// Of two authorities with one name only the one with the right key speaks for its certificates.
bool CrlSet::IsSignedBy(size_t list, X509* issuer) const {
  std::pair key(list, KeyDigest(issuer));
  std::lock_guard lock(mutex_);
  auto known = signatures_.find(key);
  if (known != signatures_.end()) return known->second;
  ERR_clear_error();
  EVP_PKEY* issuer_key = X509_get0_pubkey(issuer);
  const bool good = issuer_key != nullptr && MaySignLists(issuer) &&
                    X509_CRL_verify(lists_[list].get(), issuer_key) == 1;
  ERR_clear_error();
  signatures_.emplace(std::move(key), good);
  return good;
}

std::optional<std::string> CrlSet::FindRevoked(const STACK_OF(X509) * chain) const {
  for (int i = 0; i + 1 < sk_X509_num(chain); ++i) {
    X509* certificate = sk_X509_value(chain, i);
    X509* issuer = sk_X509_value(chain, i + 1);
    auto lists = by_issuer_.find(X509_get_issuer_name(certificate));
    if (lists == by_issuer_.end()) continue;
    for (size_t list : lists->second) {
      X509_REVOKED* entry = nullptr;
      // 1: listed; 2: listed to say that it is good again.
      if (X509_CRL_get0_by_cert(lists_[list].get(), &entry, certificate) != 1) continue;
      if (!IsSignedBy(list, issuer)) continue;
      return "certificate " + SerialText(certificate) + " of " +
             NameText(X509_get_issuer_name(certificate)) + " has been revoked";
    }
  }
  return std::nullopt;
}

}  // namespace ambit::tls
