#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "node-agent/redirect/chain_text.h"
#include "node-agent/redirect/dump.h"
#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/route_text.h"
#include "node-agent/redirect/rule_text.h"

namespace ambit::redirect {
namespace {

using Sentences = std::vector<std::string>;

struct ChainState {
  std::string hook;  // as ChainText() says it
  std::vector<std::string> rules;
};

struct TableState {
  bool exists = false;
  bool dormant = false;
  std::map<std::string, ChainState> chains;
};

// Rules and routes in the words of RouteObjectText().
struct RoutingState {
  std::set<std::string> present;
  std::set<std::string> absent;  // of a plan: what must not be there
};

const nlmsghdr* Header(const Bytes& message) {
  return reinterpret_cast<const nlmsghdr*>(message.data());
}

bool IsOurs(const char* table) { return table != nullptr && std::string_view(table) == kTableName; }

void TakeTable(const nlmsghdr* header, TableState& state) {
  const NftTable table = NewTable();
  if (nftnl_table_nlmsg_parse(header, table.get()) < 0) return;
  if (!IsOurs(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME))) return;
  state.exists = true;
  const uint32_t flags = nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS);
  state.dormant = (flags & NFT_TABLE_F_DORMANT) != 0;
}

void TakeChain(const nlmsghdr* header, TableState& state) {
  const NftChain chain = NewChain();
  if (nftnl_chain_nlmsg_parse(header, chain.get()) < 0) return;
  if (!IsOurs(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))) return;
  state.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)].hook = ChainText(chain);
}

void TakeRule(const nlmsghdr* header, TableState& state) {
  const NftRule rule = NewRule();
  if (nftnl_rule_nlmsg_parse(header, rule.get()) < 0) return;
  if (!IsOurs(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))) return;
  const char* chain = nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN);
  if (chain != nullptr) state.chains[chain].rules.push_back(RuleText(rule));
}

void TakeNft(const nlmsghdr* header, TableState& state) {
  if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
  switch (NFNL_MSG_TYPE(header->nlmsg_type)) {
    case NFT_MSG_NEWTABLE:
      return TakeTable(header, state);
    case NFT_MSG_NEWCHAIN:
      return TakeChain(header, state);
    case NFT_MSG_NEWRULE:
      return TakeRule(header, state);
    default:
      return;
  }
}

// Plays the messages of a plan in order, so that the plan stays the only author of the rules.
void Expect(const netlink::Program& plan, TableState& table, RoutingState& routing) {
  for (const netlink::Transaction& transaction : plan.transactions) {
    for (const netlink::Message& message : transaction.messages) {
      const nlmsghdr* header = Header(message.bytes);
      if (transaction.family == NETLINK_NETFILTER) TakeNft(header, table);
      if (transaction.family != NETLINK_ROUTE) continue;
      const auto object = RouteObjectText(header);
      if (!object) continue;
      const bool removes = header->nlmsg_type == RTM_DELRULE || header->nlmsg_type == RTM_DELROUTE;
      (removes ? routing.absent : routing.present).insert(*object);
    }
  }
}

Result<TableState> ReadTable() {
  TableState state;
  for (const uint16_t type : {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE}) {
    auto messages = DumpNft(type, {});
    if (!messages) return Fail(messages.error().Wrap("read nftables"));
    for (const Bytes& message : *messages) TakeNft(Header(message), state);
  }
  return state;
}

Result<RoutingState> ReadRouting() {
  RoutingState state;
  for (const uint16_t type : {RTM_GETRULE, RTM_GETROUTE}) {
    for (const uint8_t family : {AF_INET, AF_INET6}) {
      auto messages = DumpRouting(type, family);
      if (!messages) return Fail(messages.error().Wrap("read rules and routes"));
      for (const Bytes& message : *messages) {
        if (auto object = RouteObjectText(Header(message))) state.present.insert(*object);
      }
    }
  }
  return state;
}

// A kernel without IPv6 has no such file; lo that has it switched off refuses routes.
bool LoopbackHasIpv6() {
  std::ifstream file("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
  char value = '1';
  file >> value;
  return value == '0';
}

// Where `list` has a line that `other` has not (a repeated line counts each time).
std::vector<size_t> PositionsMissingIn(const std::vector<std::string>& other,
                                       const std::vector<std::string>& list) {
  std::multiset<std::string> left(other.begin(), other.end());
  std::vector<size_t> positions;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto found = left.find(list[i]);
    if (found == left.end()) {
      positions.push_back(i);
    } else {
      left.erase(found);
    }
  }
  return positions;
}

void CompareRules(const std::string& name, const ChainState& expected, const ChainState& actual,
                  Sentences& differences) {
  if (expected.rules == actual.rules) return;
  const auto missing = PositionsMissingIn(actual.rules, expected.rules);
  const auto foreign = PositionsMissingIn(expected.rules, actual.rules);
  for (const size_t i : missing) {
    differences.push_back("rule " + std::to_string(i + 1) + " of chain " + name +
                          " is missing: " + expected.rules[i]);
  }
  for (const size_t i : foreign) {
    differences.push_back("rule " + std::to_string(i + 1) + " of chain " + name +
                          " is not ours: " + actual.rules[i]);
  }
  if (missing.empty() && foreign.empty()) {
    differences.push_back("the rules of chain " + name + " are in another order");
  }
}

void CompareChain(const std::string& name, const ChainState& expected, const ChainState& actual,
                  Sentences& differences) {
  if (actual.hook != expected.hook) {
    differences.push_back("chain " + name + " is \"" + actual.hook + "\" instead of \"" +
                          expected.hook + "\"");
  }
  CompareRules(name, expected, actual, differences);
}

// The chains that only some options need, without rules: what an earlier plan may have left.
TableState LeftoverChains() {
  TableState state;
  RoutingState unused;
  const auto plan = PlanRedirect({.dns_capture = true});
  if (plan) Expect(*plan, state, unused);
  for (auto& [name, chain] : state.chains) chain.rules.clear();
  return state;
}

void CompareTables(const TableState& expected, const TableState& actual, Sentences& differences) {
  if (!actual.exists) {
    differences.push_back(std::string("table inet ") + kTableName + " is missing");
    return;
  }
  if (actual.dormant) {
    differences.push_back(std::string("table inet ") + kTableName + " is switched off (dormant)");
  }
  for (const auto& [name, chain] : expected.chains) {
    const auto found = actual.chains.find(name);
    if (found == actual.chains.end()) {
      differences.push_back("chain " + name + " is missing");
      continue;
    }
    CompareChain(name, chain, found->second, differences);
  }
  const TableState leftover = LeftoverChains();
  for (const auto& [name, chain] : actual.chains) {
    if (expected.chains.contains(name)) continue;
    const auto found = leftover.chains.find(name);
    if (found == leftover.chains.end()) {
      differences.push_back("chain " + name + " is not ours");
    } else {
      CompareChain(name, found->second, chain, differences);
    }
  }
}

void CompareRouting(const RoutingState& expected, const RoutingState& actual,
                    Sentences& differences) {
  const bool ipv6 = LoopbackHasIpv6();
  for (const std::string& object : expected.present) {
    if (actual.present.contains(object) || (!ipv6 && object.starts_with("IPv6"))) continue;
    differences.push_back("the " + object + " is missing");
  }
  for (const std::string& object : expected.absent) {
    if (actual.present.contains(object)) {
      differences.push_back("the " + object + " is there although IPv6 is off");
    }
  }
}

}  // namespace

Result<std::vector<std::string>> FindDifferences(const Options& options) {
  auto plan = PlanRedirect(options);
  if (!plan) return Fail(plan.error());
  TableState expected_table;
  RoutingState expected_routing;
  Expect(*plan, expected_table, expected_routing);
  auto table = ReadTable();
  if (!table) return Fail(table.error());
  auto routing = ReadRouting();
  if (!routing) return Fail(routing.error());
  Sentences differences;
  CompareTables(expected_table, *table, differences);
  CompareRouting(expected_routing, *routing, differences);
  return differences;
}

}  // namespace ambit::redirect
