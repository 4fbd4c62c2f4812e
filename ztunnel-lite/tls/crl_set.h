#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "ztunnel-lite/tls/openssl_ptr.h"

// Purpose  certificate revocation lists, parsed once and asked for each peer.
// Threads  immutable for its users; any thread.
// Why own  OpenSSL's CRL check wants the lists in the store of every TLS context, verifies their
//          signatures in each handshake, and refuses what is unknown or expired. Here a set is
//          shared by all identities, replaced in one step, and can be asked about a chain that was
//          verified long ago.
// Source   RFC 5280 section 5.
namespace ambit::tls {

class CrlSet {
 public:
  // PEM with any number of lists (items of other kinds are skipped), or one list as DER. Nothing at
  // all revokes nobody. Errors  kInvalidArgument.
  static Result<std::shared_ptr<const CrlSet>> Parse(const std::string& text);

  size_t size() const { return lists_.size(); }

  // What was revoked, in words, if a certificate of the chain is on a list that its issuer has
  // signed. Leaf first; the anchor at its end is not judged. Lists that are past their next update
  // still count, and a certificate that no list speaks of is good.
  std::optional<std::string> FindRevoked(const STACK_OF(X509) * chain) const;

 private:
  struct ByName {
    bool operator()(const X509_NAME* a, const X509_NAME* b) const {
      return X509_NAME_cmp(a, b) < 0;
    }
  };
  using CrlPtr = std::unique_ptr<X509_CRL, OpensslDeleter<X509_CRL_free>>;

  CrlSet() = default;
  Result<void> ParsePem(const std::string& text);
  Result<void> Add(const unsigned char* der, long size);
  bool IsSignedBy(size_t list, X509* issuer) const;

  std::vector<CrlPtr> lists_;
  std::map<const X509_NAME*, std::vector<size_t>, ByName> by_issuer_;
  // Verdicts on signatures by list and the issuer's key, so that each is computed once.
  mutable std::mutex mutex_;
  mutable std::map<std::pair<size_t, std::string>, bool> signatures_;
};

using CrlSetPtr = std::shared_ptr<const CrlSet>;

}  // namespace ambit::tls
