#include "ztunnel-lite/local/read.h"

namespace ambit::local {

namespace {

using state::PolicyMatch;

// {Exact: text}, {Prefix: text}, {Suffix: text} or {Presence: []}
state::StringMatch ReadString(const YamlValue& value, Report& report) {
  using Kind = state::StringMatch::Kind;
  state::StringMatch out;
  if (value.kind != YamlValue::Kind::kMap || value.items.size() != 1) {
    report.Add(value,
               "a matcher is {Exact: text}, {Prefix: text}, {Suffix: text} or "
               "{Presence: []}");
    return out;
  }
  Fields fields(value, "matcher", report);
  for (auto [key, kind] : {std::pair("Exact", Kind::kExact), std::pair("Prefix", Kind::kPrefix),
                           std::pair("Suffix", Kind::kSuffix)}) {
    if (fields.Find(key) == nullptr) continue;
    out.kind = kind;
    fields.Text(key, out.value);
    return out;
  }
  out.kind = Kind::kPresence;
  fields.Find("Presence");
  return out;
}

state::ServiceAccountMatch ReadAccount(const YamlValue& value, Report& report) {
  state::ServiceAccountMatch out;
  Fields fields(value, "service account", report);
  fields.Require({"namespace", "serviceAccount"});
  fields.Text("namespace", out.ns);
  fields.Text("serviceAccount", out.service_account);
  return out;
}

uint16_t ReadPort(const YamlValue& value, Report& report) {
  return static_cast<uint16_t>(IntegerOf(value, UINT16_MAX, report));
}

template <typename T>
void ReadList(Fields& fields, std::string_view key, T (*read)(const YamlValue&, Report&),
              std::vector<T>& out) {
  const YamlValue* list = fields.Find(key);
  if (list == nullptr) return;
  for (const YamlValue& item : ItemsOf(*list, fields.report())) {
    out.push_back(read(item, fields.report()));
  }
}

PolicyMatch ReadMatch(const YamlValue& value, Report& report) {
  PolicyMatch out;
  Fields fields(value, "match", report);
  ReadList(fields, "namespaces", ReadString, out.namespaces);
  ReadList(fields, "notNamespaces", ReadString, out.not_namespaces);
  ReadList(fields, "principals", ReadString, out.principals);
  ReadList(fields, "notPrincipals", ReadString, out.not_principals);
  ReadList(fields, "serviceAccounts", ReadAccount, out.service_accounts);
  ReadList(fields, "notServiceAccounts", ReadAccount, out.not_service_accounts);
  ReadList(fields, "sourceIps", CidrOf, out.source_ips);
  ReadList(fields, "notSourceIps", CidrOf, out.not_source_ips);
  ReadList(fields, "destinationIps", CidrOf, out.destination_ips);
  ReadList(fields, "notDestinationIps", CidrOf, out.not_destination_ips);
  ReadList(fields, "destinationPorts", ReadPort, out.destination_ports);
  ReadList(fields, "notDestinationPorts", ReadPort, out.not_destination_ports);
  return out;
}

void ReadRules(const YamlValue& rules, state::Policy& out, Report& report) {
  for (const YamlValue& rule : ItemsOf(rules, report)) {
    auto& clauses = out.rules.emplace_back();
    for (const YamlValue& clause : ItemsOf(rule, report)) {
      auto& matches = clauses.emplace_back();
      for (const YamlValue& match : ItemsOf(clause, report)) {
        matches.push_back(ReadMatch(match, report));
      }
    }
  }
}

}  // namespace

state::Policy ReadPolicy(const YamlValue& value, Report& report) {
  using state::PolicyAction;
  using state::PolicyScope;
  state::Policy out;
  Fields fields(value, "policy", report);
  fields.Require({"name", "namespace", "scope", "action", "rules"});
  fields.Text("name", out.name);
  fields.Text("namespace", out.ns);
  out.resource_name = out.ns + "/" + out.name;
  fields.Choice("scope",
                {{"Global", PolicyScope::kGlobal},
                 {"Namespace", PolicyScope::kNamespace},
                 {"WorkloadSelector", PolicyScope::kWorkloadSelector}},
                out.scope);
  fields.Choice("action", {{"Allow", PolicyAction::kAllow}, {"Deny", PolicyAction::kDeny}},
                out.action);
  fields.Flag("dryRun", out.dry_run);
  if (const YamlValue* rules = fields.Find("rules")) ReadRules(*rules, out, report);
  return out;
}

}  // namespace ambit::local
