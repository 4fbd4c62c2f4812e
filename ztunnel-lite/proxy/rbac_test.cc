#include "ztunnel-lite/proxy/rbac.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace ambit::proxy {
namespace {

using state::Policy;
using state::PolicyAction;
using state::PolicyMatch;
using state::StringMatch;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = StringMatch::Kind;
using Rules = std::vector<std::vector<std::vector<PolicyMatch>>>;

RbacConnection Connection(bool tls) {
  RbacConnection connection;
  connection.source = net::Endpoint::Parse("10.0.0.1:40000").value();
  connection.destination = net::Endpoint::Parse("10.0.0.2:80").value();
  if (tls) connection.source_identity = state::Identity{"td", "ns", "account"};
  return connection;
}

state::PolicyPtr Make(PolicyAction action, Rules rules, bool dry_run = false,
                      const std::string& name = "p") {
  Policy policy;
  policy.ns = "ns";
  policy.name = name;
  policy.action = action;
  policy.rules = std::move(rules);
  policy.dry_run = dry_run;
  return std::make_shared<const Policy>(std::move(policy));
}

PolicyMatch MatchWith(const std::function<void(PolicyMatch&)>& set) {
  PolicyMatch match;
  set(match);
  return match;
}

PolicyMatch Port(uint16_t port) {
  return MatchWith([port](PolicyMatch& m) { m.destination_ports = {port}; });
}

bool DenyHits(const Rules& rules, bool tls = true) {
  return !Authorize({Make(PolicyAction::kDeny, rules)}, Connection(tls)).allowed;
}

TEST(Rbac, APrincipalIsKnownByEveryNameOfItsTrustDomain) {
  auto connection = Connection(true);
  connection.trust_domain_aliases = {"td", "old"};
  auto denies = [&](const char* principal, bool negated) {
    auto match = MatchWith([&](PolicyMatch& m) {
      (negated ? m.not_principals : m.principals) = {{Kind::kExact, principal}};
    });
    return !Authorize({Make(PolicyAction::kDeny, {{{match}}})}, connection).allowed;
  };
  EXPECT_TRUE(denies("td/ns/ns/sa/account", false));
  EXPECT_TRUE(denies("old/ns/ns/sa/account", false));
  EXPECT_FALSE(denies("other/ns/ns/sa/account", false));
  EXPECT_FALSE(denies("old/ns/ns/sa/account", true));
  EXPECT_TRUE(denies("other/ns/ns/sa/account", true));
}

TEST(Rbac, EmptyPartsMeanWhatTheTableSays) {
  EXPECT_FALSE(DenyHits({}));
  EXPECT_TRUE(DenyHits({{}}));
  EXPECT_TRUE(DenyHits({{{}}}));
  EXPECT_FALSE(DenyHits({{{PolicyMatch()}}}));
  EXPECT_TRUE(DenyHits({{{PolicyMatch(), Port(80)}}}));
  EXPECT_FALSE(DenyHits({{{PolicyMatch(), Port(81)}}}));
  EXPECT_FALSE(DenyHits({{{PolicyMatch()}, {Port(80)}}}));
}

TEST(Rbac, RulesAreAnyClausesAreAllMatchesAreAny) {
  EXPECT_TRUE(DenyHits({{{Port(1)}}, {{Port(80)}}}));
  EXPECT_FALSE(DenyHits({{{Port(1)}, {Port(80)}}}));
  EXPECT_TRUE(DenyHits({{{Port(1), Port(80)}}}));
}

struct MatcherCase {
  const char* name;
  std::function<void(PolicyMatch&)> set;
  bool with_tls;
  bool in_plaintext;
};

TEST(Rbac, EveryMatcherComparesItsOwnFact) {
  auto cidr = [](const char* text) { return net::Cidr::Parse(text).value(); };
  StringMatch presence{Kind::kPresence, ""};
  const MatcherCase cases[] = {
      {"port", [](auto& m) { m.destination_ports = {80}; }, true, true},
      {"other port", [](auto& m) { m.destination_ports = {81}; }, false, false},
      {"not port", [](auto& m) { m.not_destination_ports = {80}; }, false, false},
      {"not other port", [](auto& m) { m.not_destination_ports = {81}; }, true, true},
      {"source", [&](auto& m) { m.source_ips = {cidr("10.0.0.0/31")}; }, true, true},
      {"other source", [&](auto& m) { m.source_ips = {cidr("10.0.0.2/31")}; }, false, false},
      {"v6 source", [&](auto& m) { m.source_ips = {cidr("::/0")}; }, false, false},
      {"not source", [&](auto& m) { m.not_source_ips = {cidr("10.0.0.1")}; }, false, false},
      {"destination", [&](auto& m) { m.destination_ips = {cidr("10.0.0.2")}; }, true, true},
      {"not destination", [&](auto& m) { m.not_destination_ips = {cidr("10.0.0.2")}; }, false,
       false},
      {"principal", [](auto& m) { m.principals = {{Kind::kExact, "td/ns/ns/sa/account"}}; }, true,
       false},
      {"principal with scheme",
       [](auto& m) { m.principals = {{Kind::kExact, "spiffe://td/ns/ns/sa/account"}}; }, false,
       false},
      {"principal suffix", [](auto& m) { m.principals = {{Kind::kSuffix, "/sa/account"}}; }, true,
       false},
      {"any principal", [&](auto& m) { m.principals = {presence}; }, true, false},
      {"no principal", [&](auto& m) { m.not_principals = {presence}; }, false, true},
      {"empty prefix is no principal", [](auto& m) { m.principals = {{Kind::kPrefix, ""}}; }, true,
       false},
      {"namespace", [](auto& m) { m.namespaces = {{Kind::kExact, "ns"}}; }, true, false},
      {"not namespace", [](auto& m) { m.not_namespaces = {{Kind::kExact, "ns"}}; }, false, true},
      {"empty namespace", [](auto& m) { m.namespaces = {{Kind::kExact, ""}}; }, false, true},
      {"account", [](auto& m) { m.service_accounts = {{"ns", "account"}}; }, true, false},
      {"account elsewhere", [](auto& m) { m.service_accounts = {{"other", "account"}}; }, false,
       false},
      {"not account", [](auto& m) { m.not_service_accounts = {{"ns", "account"}}; }, false, true},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(DenyHits({{{MatchWith(c.set)}}}, true), c.with_tls) << c.name;
    EXPECT_EQ(DenyHits({{{MatchWith(c.set)}}}, false), c.in_plaintext) << c.name;
  }
}

TEST(Rbac, KindsWithinOneMatchMustAllHold) {
  auto match = Port(80);
  match.namespaces = {{Kind::kExact, "other"}};
  EXPECT_FALSE(DenyHits({{{match}}}));
  match.namespaces.push_back({Kind::kExact, "ns"});
  EXPECT_TRUE(DenyHits({{{match}}}));
}

TEST(Rbac, DenyWinsOverAllow) {
  auto verdict = Authorize(
      {Make(PolicyAction::kAllow, {{}}), Make(PolicyAction::kDeny, {{{Port(80)}}}, false, "deny")},
      Connection(true));
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, "explicitly denied by: ns/deny");
}

TEST(Rbac, WithoutAllowPoliciesEverythingElseIsAllowed) {
  EXPECT_TRUE(Authorize({}, Connection(false)).allowed);
  EXPECT_TRUE(Authorize({Make(PolicyAction::kDeny, {{{Port(81)}}})}, Connection(false)).allowed);
}

TEST(Rbac, WithAllowPoliciesOneHasToMatch) {
  auto wrong = Make(PolicyAction::kAllow, {{{Port(81)}}});
  auto verdict = Authorize({wrong}, Connection(true));
  EXPECT_FALSE(verdict.allowed);
  EXPECT_THAT(verdict.reason, HasSubstr("allow policies exist, but none allowed"));
  EXPECT_TRUE(
      Authorize({wrong, Make(PolicyAction::kAllow, {{{Port(80)}}})}, Connection(true)).allowed);
  EXPECT_FALSE(Authorize({Make(PolicyAction::kAllow, {})}, Connection(true)).allowed);
}

TEST(Rbac, DryRunPoliciesAreReportedAndNeverEnforced) {
  auto verdict = Authorize({Make(PolicyAction::kDeny, {{}}, true, "deny"),
                            Make(PolicyAction::kAllow, {{}}, true, "allow")},
                           Connection(true));
  EXPECT_TRUE(verdict.allowed);
  EXPECT_THAT(verdict.dry_run, ElementsAre("dry-run: would be denied by: ns/deny",
                                           "dry-run: would be allowed by: ns/allow"));
  verdict = Authorize({Make(PolicyAction::kAllow, {{{Port(81)}}}, true)}, Connection(true));
  EXPECT_TRUE(verdict.allowed);
  EXPECT_THAT(verdict.dry_run, ElementsAre(HasSubstr("would be denied")));
  EXPECT_THAT(Authorize({Make(PolicyAction::kAllow, {{}})}, Connection(true)).dry_run, IsEmpty());
}

}  // namespace
}  // namespace ambit::proxy
