#include "proto/authorization.pb.h"
#include "ztunnel-lite/state/decode.h"
#include "ztunnel-lite/state/decode_fields.h"

namespace ambit::state {

namespace pb = istio::security;

namespace {

template <typename T>
using Repeated = google::protobuf::RepeatedPtrField<T>;

Result<StringMatch> DecodeString(const pb::StringMatch& message) {
  using Kind = StringMatch::Kind;
  switch (message.match_type_case()) {
    case pb::StringMatch::kExact:
      return StringMatch{Kind::kExact, message.exact()};
    case pb::StringMatch::kPrefix:
      return StringMatch{Kind::kPrefix, message.prefix()};
    case pb::StringMatch::kSuffix:
      return StringMatch{Kind::kSuffix, message.suffix()};
    case pb::StringMatch::kPresence:
      return StringMatch{Kind::kPresence, ""};
    case pb::StringMatch::MATCH_TYPE_NOT_SET:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "a string match has neither value nor presence");
}

Result<ServiceAccountMatch> DecodeAccount(const pb::ServiceAccountMatch& message) {
  return ServiceAccountMatch{message.namespace_(), message.serviceaccount()};
}

Result<net::Cidr> DecodeAddressMatch(const pb::Address& message) {
  return DecodeCidr("address", message.address(), message.length());
}

// Appends every element or fails with the field's name.
template <typename Message, typename Value>
Result<void> DecodeList(std::string_view field, const Repeated<Message>& messages,
                        Result<Value> (*decode)(const Message&), std::vector<Value>& out) {
  for (const auto& message : messages) {
    auto value = decode(message);
    if (!value) return std::unexpected(value.error().Wrap(field));
    out.push_back(std::move(*value));
  }
  return {};
}

Result<void> DecodePortList(std::string_view field,
                            const google::protobuf::RepeatedField<uint32_t>& ports,
                            std::vector<uint16_t>& out) {
  for (uint32_t number : ports) {
    auto port = DecodePort(field, number);
    if (!port) return std::unexpected(port.error());
    out.push_back(*port);
  }
  return {};
}

Result<PolicyMatch> DecodeMatch(const pb::Match& message) {
  PolicyMatch out;
  const Result<void> parts[] = {
      DecodeList("namespaces", message.namespaces(), DecodeString, out.namespaces),
      DecodeList("not_namespaces", message.not_namespaces(), DecodeString, out.not_namespaces),
      DecodeList("principals", message.principals(), DecodeString, out.principals),
      DecodeList("not_principals", message.not_principals(), DecodeString, out.not_principals),
      DecodeList("service_accounts", message.service_accounts(), DecodeAccount,
                 out.service_accounts),
      DecodeList("not_service_accounts", message.not_service_accounts(), DecodeAccount,
                 out.not_service_accounts),
      DecodeList("source_ips", message.source_ips(), DecodeAddressMatch, out.source_ips),
      DecodeList("not_source_ips", message.not_source_ips(), DecodeAddressMatch,
                 out.not_source_ips),
      DecodeList("destination_ips", message.destination_ips(), DecodeAddressMatch,
                 out.destination_ips),
      DecodeList("not_destination_ips", message.not_destination_ips(), DecodeAddressMatch,
                 out.not_destination_ips),
      DecodePortList("destination_ports", message.destination_ports(), out.destination_ports),
      DecodePortList("not_destination_ports", message.not_destination_ports(),
                     out.not_destination_ports),
  };
  for (const auto& part : parts) {
    if (!part) return std::unexpected(part.error());
  }
  return out;
}

Result<void> DecodeRules(const pb::Authorization& message, Policy& out) {
  for (const auto& rule : message.rules()) {
    auto& clauses = out.rules.emplace_back();
    for (const auto& clause : rule.clauses()) {
      auto& matches = clauses.emplace_back();
      for (const auto& match : clause.matches()) {
        auto decoded = DecodeMatch(match);
        if (!decoded) return std::unexpected(decoded.error());
        matches.push_back(std::move(*decoded));
      }
    }
  }
  return {};
}

}  // namespace

Result<Policy> DecodePolicy(const std::string& resource_name, const pb::Authorization& message) {
  if (!pb::Scope_IsValid(message.scope())) {
    return BadField("scope", std::to_string(message.scope()) + " is unknown");
  }
  if (!pb::Action_IsValid(message.action())) {
    return BadField("action", std::to_string(message.action()) + " is unknown");
  }
  Policy out;
  out.resource_name = resource_name;
  out.name = message.name();
  out.ns = message.namespace_();
  // Same numbers on both sides, checked to be in range above.
  out.scope = static_cast<PolicyScope>(message.scope());
  out.action = static_cast<PolicyAction>(message.action());
  out.dry_run = message.dry_run();
  auto rules = DecodeRules(message, out);
  if (!rules) return std::unexpected(rules.error());
  return out;
}

}  // namespace ambit::state
