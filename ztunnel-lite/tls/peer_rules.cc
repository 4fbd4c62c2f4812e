#include "ztunnel-lite/tls/peer_rules.h"

#include <algorithm>
#include <utility>

namespace ambit::tls {

Revocations::Revocations(prometheus::Registry& registry)
    : rejections_(
          prometheus::BuildCounter()
              .Name("istio_crl_policy_rejections_total")
              .Help("The total number of connections refused or ended because a certificate "
                    "was revoked (unstable).")
              .Register(registry)),
      untracked_(prometheus::BuildCounter()
                     .Name("istio_crl_untracked_connections_total")
                     .Help("The total number of connections that cannot be checked against later "
                           "revocation lists (unstable).")
                     .Register(registry)
                     .Add({})) {}

CrlSetPtr Revocations::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

void Revocations::Replace(CrlSetPtr lists) {
  std::lock_guard lock(mutex_);
  current_ = std::move(lists);
}

void Revocations::CountRejection(Reporter reporter) {
  const char* name = reporter == Reporter::kSource ? "source" : "destination";
  rejections_.Add({{"reporter", name}}).Increment();
}

std::vector<std::string> PeerRules::AliasesOf(const std::string& trust_domain) const {
  const bool listed = std::ranges::find(trust_domains, trust_domain) != trust_domains.end();
  return listed ? trust_domains : std::vector<std::string>();
}

bool PeerRules::SameTrustDomain(const std::string& a, const std::string& b) const {
  auto listed = [this](const std::string& domain) {
    return std::ranges::find(trust_domains, domain) != trust_domains.end();
  };
  return a == b || (listed(a) && listed(b));
}

}  // namespace ambit::tls
