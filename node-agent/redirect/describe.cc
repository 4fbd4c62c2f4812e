#include "node-agent/redirect/describe.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>

#include "node-agent/redirect/chain_text.h"
#include "node-agent/redirect/nft_object.h"
#include "node-agent/redirect/route_text.h"
#include "node-agent/redirect/rule_text.h"

namespace ambit::redirect {
namespace {

std::string Text(const char* text) { return text == nullptr ? "" : text; }

std::string Unknown(const nlmsghdr* header) {
  return "message of type " + std::to_string(header->nlmsg_type) + " with " +
         std::to_string(header->nlmsg_len) + " bytes";
}

std::string TableName(const nlmsghdr* header) {
  const NftTable table = NewTable();
  if (nftnl_table_nlmsg_parse(header, table.get()) < 0) return "?";
  return Text(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME));
}

std::string ChainMessage(const nlmsghdr* header, bool add) {
  const NftChain chain = NewChain();
  if (nftnl_chain_nlmsg_parse(header, chain.get()) < 0) return Unknown(header);
  const std::string name = Text(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE)) + " " +
                           Text(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME));
  if (!add) return "delete chain inet " + name;
  return "add chain inet " + name + " { " + ChainText(chain) + " }";
}

std::string RuleMessage(const nlmsghdr* header, bool add) {
  const NftRule rule = NewRule();
  if (nftnl_rule_nlmsg_parse(header, rule.get()) < 0) return Unknown(header);
  const std::string table = Text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE));
  const std::string chain = Text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN));
  if (add) return "add rule inet " + table + " " + chain + " " + RuleText(rule);
  if (nftnl_rule_is_set(rule.get(), NFTNL_RULE_HANDLE)) return "delete a rule of " + chain;
  return "flush " + (chain.empty() ? "table inet " + table : "chain inet " + table + " " + chain);
}

std::string SetMessage(const nlmsghdr* header, const char* verb, const char* noun) {
  const NftSet set = NewSet();
  const int parsed = std::string_view(noun) == "set"
                         ? nftnl_set_nlmsg_parse(header, set.get())
                         : nftnl_set_elems_nlmsg_parse(header, set.get());
  if (parsed < 0) return Unknown(header);
  return std::string(verb) + " " + noun + " inet " +
         Text(nftnl_set_get_str(set.get(), NFTNL_SET_TABLE)) + " " +
         Text(nftnl_set_get_str(set.get(), NFTNL_SET_NAME));
}

std::string NftMessage(const nlmsghdr* header) {
  switch (NFNL_MSG_TYPE(header->nlmsg_type)) {
    case NFT_MSG_NEWTABLE:
      return "add table inet " + TableName(header);
    case NFT_MSG_DELTABLE:
      return "delete table inet " + TableName(header);
    case NFT_MSG_NEWCHAIN:
      return ChainMessage(header, true);
    case NFT_MSG_DELCHAIN:
      return ChainMessage(header, false);
    case NFT_MSG_NEWRULE:
      return RuleMessage(header, true);
    case NFT_MSG_DELRULE:
      return RuleMessage(header, false);
    case NFT_MSG_NEWSET:
      return SetMessage(header, "add", "set");
    case NFT_MSG_DELSET:
      return SetMessage(header, "delete", "set");
    case NFT_MSG_NEWSETELEM:
      return SetMessage(header, "add", "elements");
    case NFT_MSG_DELSETELEM:
      return SetMessage(header, "delete", "elements");
    default:
      return Unknown(header);
  }
}

std::string NetfilterMessage(const nlmsghdr* header) {
  if (header->nlmsg_type == NFNL_MSG_BATCH_BEGIN) return "begin";
  if (header->nlmsg_type == NFNL_MSG_BATCH_END) return "commit";
  if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES) return Unknown(header);
  return NftMessage(header);
}

}  // namespace

std::string DescribeMessage(int family, const Bytes& message) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
  if (message.size() < sizeof(nlmsghdr) || header->nlmsg_len > message.size()) return "no message";
  if (family == NETLINK_NETFILTER) return NetfilterMessage(header);
  return RouteMessageText(header).value_or(Unknown(header));
}

std::string Describe(const netlink::Program& program) {
  std::string text;
  for (const netlink::Transaction& transaction : program.transactions) {
    for (const netlink::Message& message : transaction.messages) {
      text += DescribeMessage(transaction.family, message.bytes);
      text += '\n';
    }
  }
  return text;
}

}  // namespace ambit::redirect
