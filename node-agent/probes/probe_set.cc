#include "node-agent/probes/probe_set.h"

#include <libnftnl/rule.h>
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <vector>

#include "node-agent/probes/set_message.h"
#include "node-agent/redirect/dump.h"
#include "node-agent/redirect/nft_message.h"
#include "node-agent/redirect/rule_builder.h"
#include "node-agent/redirect/rule_text.h"

namespace ambit::probes {
namespace {

using net::IpAddress;
using redirect::NftRule;
using Addresses = std::set<IpAddress>;

constexpr char kTable[] = "ambit";
constexpr redirect::ChainSpec kChain = {"postrouting", "nat", NF_INET_POST_ROUTING, 100};
constexpr AddressSet kSetV4 = {kTable, "probes-v4", net::Family::kIpv4};
constexpr AddressSet kSetV6 = {kTable, "probes-v6", net::Family::kIpv6};
// Somebody else may change the table between reading and writing.
constexpr int kAttempts = 3;

std::vector<AddressSet> SetsOf(const Options& options) {
  if (!options.ipv6) return {kSetV4};
  return {kSetV4, kSetV6};
}

std::vector<NftRule> MakeRules(const Options& options) {
  std::vector<NftRule> rules;
  for (const AddressSet& set : SetsOf(options)) {
    const bool v4 = set.family == net::Family::kIpv4;
    rules.push_back(redirect::RuleBuilder(kTable, kChain.name)
                        .Protocol(IPPROTO_TCP)
                        .SocketUid(options.kubelet_uid)
                        .AddressInSet(redirect::Side::kDestination, set.family, set.name)
                        .Counter()
                        .SourceNat(v4 ? options.probe_v4 : options.probe_v6)
                        .Comment("kubelet's probes of captured pods")
                        .Build());
  }
  return rules;
}

std::vector<std::string> Texts(const std::vector<NftRule>& rules) {
  std::vector<std::string> texts;
  for (const NftRule& rule : rules) texts.push_back(redirect::RuleText(rule));
  return texts;
}

Result<std::vector<NftRule>> ReadRules() {
  auto messages = redirect::DumpNft(NFT_MSG_GETRULE, {});
  if (!messages) return Fail(messages.error().Wrap("read nftables rules"));
  std::vector<NftRule> rules;
  for (const Bytes& message : *messages) {
    NftRule rule = redirect::NewRule();
    const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
    if (nftnl_rule_nlmsg_parse(header, rule.get()) < 0) continue;
    const char* table = nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE);
    if (table != nullptr && std::string_view(table) == kTable) rules.push_back(std::move(rule));
  }
  return rules;
}

// Same rules stay as they are, so that their counters go on.
Result<void> AddRules(const Options& options, std::vector<netlink::Message>& messages) {
  const std::vector<NftRule> rules = MakeRules(options);
  auto actual = ReadRules();
  if (!actual) return Fail(actual.error());
  if (Texts(*actual) == Texts(rules)) return {};
  messages.push_back(redirect::FlushTable(kTable));
  for (const NftRule& rule : rules) messages.push_back(redirect::AddRule(rule));
  return {};
}

Addresses OfFamily(const Addresses& addresses, net::Family family) {
  Addresses chosen;
  std::ranges::copy_if(addresses, std::inserter(chosen, chosen.end()),
                       [family](const IpAddress& address) { return address.family() == family; });
  return chosen;
}

Addresses Without(const Addresses& addresses, const Addresses& others) {
  Addresses left;
  std::ranges::set_difference(addresses, others, std::inserter(left, left.end()));
  return left;
}

void AppendChanges(const AddressSet& set, Change change, const Addresses& addresses,
                   std::vector<netlink::Message>& messages) {
  std::ranges::move(ChangeAddresses(set, change, addresses), std::back_inserter(messages));
}

}  // namespace

Result<void> ProbeSet::ReplaceOnce(const Addresses& pods) {
  std::vector<netlink::Message> messages = {redirect::AddTable(kTable)};
  const std::vector<AddressSet> sets = SetsOf(options_);
  for (const AddressSet& set : sets) messages.push_back(AddSet(set));
  messages.push_back(redirect::AddChain(kTable, kChain));
  if (auto added = AddRules(options_, messages); !added) return added;
  for (const AddressSet& set : sets) {
    auto actual = ReadAddresses(set);
    if (!actual) return Fail(actual.error());
    const Addresses wanted = OfFamily(pods, set.family);
    AppendChanges(set, probes::Change::kDelete, Without(*actual, wanted), messages);
    AppendChanges(set, probes::Change::kAdd, Without(wanted, *actual), messages);
  }
  return channel_.Run(redirect::Batch(std::move(messages)));
}

Result<void> ProbeSet::Replace(const std::set<IpAddress>& pods) {
  if (!options_.probe_v4.is_v4() || (options_.ipv6 && options_.probe_v6.is_v4())) {
    return Fail(ErrorCode::kInvalidArgument,
                "the source addresses of probes are not one of each family: " +
                    options_.probe_v4.ToString() + ", " + options_.probe_v6.ToString());
  }
  for (int attempt = 1;; ++attempt) {
    auto replaced = ReplaceOnce(pods);
    // An address to delete was already gone.
    const bool raced = !replaced && replaced.error().sys_errno() == ENOENT;
    if (!raced || attempt == kAttempts) return replaced;
  }
}

Result<void> ProbeSet::Change(const std::set<IpAddress>& added,
                              const std::set<IpAddress>& removed) {
  std::vector<netlink::Message> messages;
  for (const AddressSet& set : SetsOf(options_)) {
    AppendChanges(set, probes::Change::kDelete, OfFamily(removed, set.family), messages);
    AppendChanges(set, probes::Change::kAdd, OfFamily(added, set.family), messages);
  }
  if (messages.empty()) return {};
  return channel_.Run(redirect::Batch(std::move(messages)));
}

Result<std::set<IpAddress>> ProbeSet::Read() const {
  Addresses all;
  for (const AddressSet& set : SetsOf(options_)) {
    auto addresses = ReadAddresses(set);
    if (!addresses) return addresses;
    all.merge(*addresses);
  }
  return all;
}

Result<void> ProbeSet::Remove() {
  return netlink::Run(
      {{redirect::Batch({redirect::AddTable(kTable), redirect::DeleteTable(kTable)})}});
}

}  // namespace ambit::probes
