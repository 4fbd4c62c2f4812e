#include "ztunnel-lite/proxy/rbac.h"

#include <algorithm>
#include <string_view>

namespace ambit::proxy {

using state::Policy;
using state::PolicyAction;
using state::PolicyMatch;

namespace {

// The connection as matchers see it.
struct Facts {
  const RbacConnection& connection;
  // The SPIFFE URI without its scheme, once for each name of the trust domain; none in plaintext.
  std::vector<std::string> principals;
  std::string_view ns;  // empty in plaintext
};

Facts FactsOf(const RbacConnection& connection) {
  Facts facts{connection, {}, ""};
  const auto& identity = connection.source_identity;
  if (!identity) return facts;
  facts.ns = identity->ns;
  auto add = [&](const std::string& trust_domain) {
    state::Identity named{trust_domain, identity->ns, identity->service_account};
    facts.principals.push_back(named.Uri().substr(std::string_view("spiffe://").size()));
  };
  add(identity->trust_domain);
  for (const auto& alias : connection.trust_domain_aliases) {
    if (alias != identity->trust_domain) add(alias);
  }
  return facts;
}

// An empty list of positives asks for nothing, one of negatives excludes nothing.
template <typename List, typename Hit>
bool Holds(const List& positive, const List& negative, Hit hit) {
  return (positive.empty() || std::ranges::any_of(positive, hit)) &&
         std::ranges::none_of(negative, hit);
}

bool IsEmpty(const PolicyMatch& match) { return match == PolicyMatch(); }

bool MatchHolds(const PolicyMatch& match, const Facts& facts) {
  const RbacConnection& connection = facts.connection;
  auto contains = [](const net::IpAddress& address) {
    return [&address](const net::Cidr& cidr) { return cidr.Contains(address); };
  };
  auto is_principal = [&](const state::StringMatch& matcher) {
    return std::ranges::any_of(
        facts.principals, [&](const std::string& principal) { return matcher.Matches(principal); });
  };
  auto is_namespace = [&](const state::StringMatch& matcher) { return matcher.Matches(facts.ns); };
  auto is_account = [&](const state::ServiceAccountMatch& account) {
    return connection.source_identity && account.ns == connection.source_identity->ns &&
           account.service_account == connection.source_identity->service_account;
  };
  auto is_port = [&](uint16_t port) { return port == connection.destination.port; };
  return Holds(match.destination_ports, match.not_destination_ports, is_port) &&
         Holds(match.source_ips, match.not_source_ips, contains(connection.source.address)) &&
         Holds(match.destination_ips, match.not_destination_ips,
               contains(connection.destination.address)) &&
         Holds(match.namespaces, match.not_namespaces, is_namespace) &&
         Holds(match.service_accounts, match.not_service_accounts, is_account) &&
         Holds(match.principals, match.not_principals, is_principal);
}

// A clause without matches holds; a match that says nothing never does.
bool ClauseHolds(const std::vector<PolicyMatch>& clause, const Facts& facts) {
  return clause.empty() || std::ranges::any_of(clause, [&](const PolicyMatch& match) {
           return !IsEmpty(match) && MatchHolds(match, facts);
         });
}

bool PolicyHolds(const Policy& policy, const Facts& facts) {
  return std::ranges::any_of(policy.rules, [&](const std::vector<std::vector<PolicyMatch>>& rule) {
    return std::ranges::all_of(
        rule, [&](const std::vector<PolicyMatch>& clause) { return ClauseHolds(clause, facts); });
  });
}

std::string NameOf(const Policy& policy) { return policy.ns + "/" + policy.name; }

// What the allow policies say together.
struct Allows {
  bool any = false;
  bool matched = false;
};

}  // namespace

RbacVerdict Authorize(const std::vector<state::PolicyPtr>& policies,
                      const RbacConnection& connection) {
  Facts facts = FactsOf(connection);
  RbacVerdict verdict;
  Allows enforced;
  Allows dry_run;
  for (const auto& policy : policies) {
    bool deny = policy->action == PolicyAction::kDeny;
    // One match is enough, except for a deny.
    if (!deny && !policy->dry_run && enforced.matched) continue;
    bool holds = PolicyHolds(*policy, facts);
    if (deny && !policy->dry_run && holds && verdict.allowed) {
      verdict.allowed = false;
      verdict.reason = "explicitly denied by: " + NameOf(*policy);
    }
    if (deny && policy->dry_run && holds) {
      verdict.dry_run.push_back("dry-run: would be denied by: " + NameOf(*policy));
    }
    if (deny) continue;
    Allows& allows = policy->dry_run ? dry_run : enforced;
    allows.any = true;
    allows.matched = allows.matched || holds;
    if (policy->dry_run && holds) {
      verdict.dry_run.push_back("dry-run: would be allowed by: " + NameOf(*policy));
    }
  }
  if (dry_run.any && !dry_run.matched && !enforced.any) {
    verdict.dry_run.push_back("dry-run: no allow policy matches; would be denied");
  }
  if (verdict.allowed && enforced.any && !enforced.matched) {
    verdict.allowed = false;
    verdict.reason = "allow policies exist, but none allowed";
  }
  return verdict;
}

}  // namespace ambit::proxy
