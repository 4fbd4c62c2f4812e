#include "ztunnel-lite/tls/peer_check.h"

#include <algorithm>

#include "ztunnel-lite/state/resources.h"
#include "ztunnel-lite/tls/openssl_ptr.h"

namespace ambit::tls {
namespace {

std::string Join(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined.empty() ? "none" : joined;
}

std::string TimeText(const ASN1_TIME* time) {
  BioPtr out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), time);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string Whose(X509* leaf) {
  const auto uris = SpiffeUris(leaf);
  return uris.empty() ? "a peer without SPIFFE identity" : uris.front();
}

std::string ChainRefusal(X509_STORE_CTX* store, X509* leaf) {
  const int code = X509_STORE_CTX_get_error(store);
  X509* at = X509_STORE_CTX_get_current_cert(store);
  if (at == nullptr) at = leaf;
  const std::string who = "certificate of " + Whose(leaf);
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return who + " expired at " + TimeText(X509_get0_notAfter(at));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return who + " is not valid before " + TimeText(X509_get0_notBefore(at)) +
             "; the clocks of the two nodes may differ";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return who + " is signed by an unknown CA; the two sides have different mesh roots";
    case X509_V_ERR_INVALID_PURPOSE:
      return who + " may not be used for this side of TLS (extended key usage)";
    default:
      return who + " was refused: " + X509_verify_cert_error_string(code);
  }
}

bool SameTrustDomain(const PeerCheck& check, const std::string& a, const std::string& b) {
  return check.rules != nullptr ? check.rules->SameTrustDomain(a, b) : a == b;
}

bool SameIdentity(const PeerCheck& check, const std::string& a, const std::string& b) {
  if (a == b) return true;
  auto left = state::Identity::Parse(a);
  auto right = state::Identity::Parse(b);
  return left && right && left->ns == right->ns &&
         left->service_account == right->service_account &&
         SameTrustDomain(check, left->trust_domain, right->trust_domain);
}

bool MeetsDemand(const PeerCheck& check, const std::vector<std::string>& uris) {
  for (const std::string& uri : uris) {
    if (check.demand == PeerCheck::Demand::kExactIdentity) {
      auto same = [&](const std::string& expected) { return SameIdentity(check, expected, uri); };
      if (std::ranges::any_of(check.expected, same)) return true;
    } else if (auto identity = state::Identity::Parse(uri);
               identity && SameTrustDomain(check, identity->trust_domain, check.trust_domain)) {
      return true;
    }
  }
  return false;
}

std::string DemandRefusal(const PeerCheck& check, const std::vector<std::string>& uris) {
  if (uris.empty()) return "the peer's certificate carries no SPIFFE identity";
  if (check.demand == PeerCheck::Demand::kExactIdentity) {
    return "wrong identity: the peer presented " + Join(uris) + ", expected " +
           Join(check.expected);
  }
  std::string domain = "?";
  if (auto identity = state::Identity::Parse(uris.front())) domain = identity->trust_domain;
  return "other trust domain: " + uris.front() + " is of " + domain + ", this side is of " +
         check.trust_domain;
}

}  // namespace

std::vector<std::string> SpiffeUris(X509* certificate) {
  std::vector<std::string> uris;
  NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) return uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* value = name->d.uniformResourceIdentifier;
    std::string uri(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                    static_cast<size_t>(ASN1_STRING_length(value)));
    if (state::Identity::Parse(uri)) uris.push_back(std::move(uri));
  }
  return uris;
}

std::optional<std::string> FindRevocation(const PeerCheck& check, const STACK_OF(X509) * chain) {
  if (check.rules == nullptr || check.rules->revocations == nullptr) return std::nullopt;
  Revocations& revocations = *check.rules->revocations;
  const CrlSetPtr lists = revocations.current();
  if (!lists) return std::nullopt;
  auto revoked = lists->FindRevoked(chain);
  if (!revoked) return std::nullopt;
  revocations.CountRejection(check.demand == PeerCheck::Demand::kExactIdentity
                                 ? Revocations::Reporter::kSource
                                 : Revocations::Reporter::kDestination);
  return Whose(sk_X509_value(chain, 0)) + ": " + *revoked;
}

int VerifyPeer(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* check = ssl != nullptr ? static_cast<PeerCheck*>(SSL_get_app_data(ssl)) : nullptr;
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  if (check == nullptr || leaf == nullptr) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  if (X509_verify_cert(store) != 1) {
    check->refusal = ChainRefusal(store, leaf);
    return 0;
  }
  if (auto revoked = FindRevocation(*check, X509_STORE_CTX_get0_chain(store))) {
    check->refusal = *revoked;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
    return 0;
  }
  const auto uris = SpiffeUris(leaf);
  if (!MeetsDemand(*check, uris)) {
    check->refusal = DemandRefusal(*check, uris);
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
  }
  check->identity = uris.front();
  return 1;
}

void AttachPeerCheck(SSL* ssl, PeerCheck& check) { SSL_set_app_data(ssl, &check); }

}  // namespace ambit::tls
