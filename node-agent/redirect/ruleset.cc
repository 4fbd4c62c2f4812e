#include "node-agent/redirect/ruleset.h"

#include <linux/in.h>
#include <linux/netfilter.h>

#include <utility>

#include "node-agent/redirect/rule_builder.h"

namespace ambit::redirect {
namespace {

using net::IpAddress;

constexpr uint16_t kOutboundPort = 15001;
constexpr uint16_t kInboundPort = 15006;
constexpr uint16_t kHbonePort = 15008;
constexpr uint16_t kDnsProxyPort = 15053;
constexpr uint16_t kDnsPort = 53;
constexpr uint16_t kUpstreamDnsZone = 1;
constexpr char kLoopback[] = "lo";

// The rules of one chain while they are collected.
class Rules {
 public:
  Rules(const Options& options, const char* chain) : options_(options), chain_(chain) {}

  // One rule that no address ties to a family. Without IPv6 it says so itself, because the table is
  // of both families.
  RuleBuilder Any() const {
    RuleBuilder rule(kTableName, chain_);
    if (!options_.ipv6) rule.Family(net::Family::kIpv4);
    return rule;
  }
  RuleBuilder Tied() const { return {kTableName, chain_}; }

  void Add(RuleBuilder& rule, const char* comment) {
    rules_.push_back(rule.Comment(comment).Build());
  }

  std::vector<IpAddress> Loopbacks() const {
    return PerFamily(IpAddress::Loopback(net::Family::kIpv4),
                     IpAddress::Loopback(net::Family::kIpv6));
  }
  std::vector<IpAddress> ProbeSources() const {
    return PerFamily(options_.probe_v4, options_.probe_v6);
  }
  const Options& options() const { return options_; }
  std::vector<NftRule> Take() { return std::move(rules_); }

 private:
  std::vector<IpAddress> PerFamily(const IpAddress& v4, const IpAddress& v6) const {
    if (!options_.ipv6) return {v4};
    return {v4, v6};
  }

  const Options& options_;
  const char* chain_;
  std::vector<NftRule> rules_;
};

// Answers to the tunnel's own DNS questions share the pod's addresses and ports with the redirected
// questions of the app, so that they are tracked apart.
std::vector<NftRule> RawPrerouting(Rules rules) {
  if (!rules.options().dns_capture) return {};
  rules.Add(rules.Any()
                .Protocol(IPPROTO_UDP)
                .Port(Side::kSource, Match::kEqual, kDnsPort)
                .Mark(Match::kNotEqual, kTunnelMark, kMarkMask)
                .Counter()
                .SetZone(kUpstreamDnsZone),
            "answers to the tunnel's DNS questions");
  return rules.Take();
}

std::vector<NftRule> RawOutput(Rules rules) {
  if (!rules.options().dns_capture) return {};
  rules.Add(rules.Any()
                .Protocol(IPPROTO_UDP)
                .Port(Side::kDestination, Match::kEqual, kDnsPort)
                .Mark(Match::kEqual, kTunnelMark, kMarkMask)
                .Counter()
                .SetZone(kUpstreamDnsZone),
            "DNS questions of the tunnel");
  return rules.Take();
}

std::vector<NftRule> ManglePrerouting(Rules rules) {
  rules.Add(rules.Any()
                .Mark(Match::kEqual, kTunnelMark, kMarkMask)
                .Counter()
                .SetConnectionMark(kReplyMark, kMarkMask),
            "remember connections that the tunnel made to the app");
  return rules.Take();
}

std::vector<NftRule> MangleOutput(Rules rules) {
  rules.Add(rules.Any()
                .ConnectionMark(Match::kEqual, kReplyMark, kMarkMask)
                .Counter()
                .CopyConnectionMarkToPacket(),
            "their replies go back through lo");
  return rules.Take();
}

std::vector<NftRule> NatPrerouting(Rules rules) {
  for (const std::string& name : rules.options().virtual_interfaces) {
    rules.Add(rules.Any()
                  .InInterface(Match::kEqual, name)
                  .Protocol(IPPROTO_TCP)
                  .Counter()
                  .RedirectTo(kOutboundPort),
              "a virtual interface is outbound");
  }
  if (rules.options().bypass_inbound) return rules.Take();
  for (const IpAddress& probe : rules.ProbeSources()) {
    rules.Add(rules.Tied()
                  .Protocol(IPPROTO_TCP)
                  .Address(Side::kSource, Match::kEqual, probe)
                  .Counter()
                  .Accept(),
              "kubelet's probes");
  }
  for (const IpAddress& loopback : rules.Loopbacks()) {
    rules.Add(rules.Tied()
                  .Address(Side::kDestination, Match::kNotEqual, loopback)
                  .Protocol(IPPROTO_TCP)
                  .Port(Side::kDestination, Match::kNotEqual, kHbonePort)
                  .Mark(Match::kNotEqual, kTunnelMark, kMarkMask)
                  .Counter()
                  .RedirectTo(kInboundPort),
              "inbound");
  }
  return rules.Take();
}

void AddDnsRedirects(Rules& rules) {
  rules.Add(rules.Any()
                .OutInterface(Match::kNotEqual, kLoopback)
                .Mark(Match::kNotEqual, kTunnelMark, kMarkMask)
                .Protocol(IPPROTO_UDP)
                .Port(Side::kDestination, Match::kEqual, kDnsPort)
                .Counter()
                .RedirectTo(kDnsProxyPort),
            "DNS over UDP");
  for (const IpAddress& loopback : rules.Loopbacks()) {
    rules.Add(rules.Tied()
                  .Address(Side::kDestination, Match::kNotEqual, loopback)
                  .Protocol(IPPROTO_TCP)
                  .Port(Side::kDestination, Match::kEqual, kDnsPort)
                  .Mark(Match::kNotEqual, kTunnelMark, kMarkMask)
                  .Counter()
                  .RedirectTo(kDnsProxyPort),
              "DNS over TCP");
  }
}

std::vector<NftRule> NatOutput(Rules rules) {
  for (const IpAddress& probe : rules.ProbeSources()) {
    rules.Add(rules.Tied()
                  .Protocol(IPPROTO_TCP)
                  .Address(Side::kDestination, Match::kEqual, probe)
                  .Counter()
                  .Accept(),
              "to the source of kubelet's probes");
  }
  if (rules.options().dns_capture) AddDnsRedirects(rules);
  rules.Add(rules.Any()
                .Protocol(IPPROTO_TCP)
                .Mark(Match::kEqual, kReplyMark, kMarkMask)
                .Counter()
                .Accept(),
            "replies to the tunnel");
  for (const IpAddress& loopback : rules.Loopbacks()) {
    rules.Add(rules.Tied()
                  .OutInterface(Match::kEqual, kLoopback)
                  .Address(Side::kDestination, Match::kNotEqual, loopback)
                  .Counter()
                  .Accept(),
              "to the pod's own addresses");
  }
  for (const IpAddress& loopback : rules.Loopbacks()) {
    rules.Add(rules.Tied()
                  .Protocol(IPPROTO_TCP)
                  .Address(Side::kDestination, Match::kNotEqual, loopback)
                  .Mark(Match::kNotEqual, kTunnelMark, kMarkMask)
                  .Counter()
                  .RedirectTo(kOutboundPort),
              "outbound");
  }
  return rules.Take();
}

using MakeRules = std::vector<NftRule> (*)(Rules);

BaseChain Make(const Options& options, const ChainSpec& spec, MakeRules make) {
  return {.spec = spec, .rules = make(Rules(options, spec.name))};
}

}  // namespace

std::vector<BaseChain> MakeRuleset(const Options& options) {
  constexpr uint32_t kIn = NF_INET_PRE_ROUTING;
  constexpr uint32_t kOut = NF_INET_LOCAL_OUT;
  std::vector<BaseChain> chains;
  chains.push_back(Make(options, {"raw-prerouting", "filter", kIn, -300}, RawPrerouting));
  chains.push_back(Make(options, {"raw-output", "filter", kOut, -300}, RawOutput));
  chains.push_back(Make(options, {"mangle-prerouting", "filter", kIn, -150}, ManglePrerouting));
  // Only a chain of type route looks up the route again when the mark has changed.
  chains.push_back(Make(options, {"mangle-output", "route", kOut, -150}, MangleOutput));
  chains.push_back(Make(options, {"nat-prerouting", "nat", kIn, -100}, NatPrerouting));
  chains.push_back(Make(options, {"nat-output", "nat", kOut, -100}, NatOutput));
  return chains;
}

}  // namespace ambit::redirect
