#include "node-agent/redirect/nft_message.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <cstdlib>
#include <utility>

#include "node-agent/redirect/describe.h"

namespace ambit::redirect {
namespace {

// libnftnl does not check for room; the largest message, 512 set elements, is 22 KiB.
constexpr size_t kMessageRoom = size_t{64} * 1024;

netlink::Message Named(const nlmsghdr* header) {
  netlink::Message message;
  const auto* first = reinterpret_cast<const std::byte*>(header);
  message.bytes.assign(first, first + header->nlmsg_len);
  message.name = DescribeMessage(NETLINK_NETFILTER, message.bytes);
  return message;
}

netlink::Message TableMessage(uint16_t type, uint16_t flags, const std::string& table) {
  return MakeNftMessage(type, flags, [&](nlmsghdr* header) {
    const NftTable object = NewTable();
    nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.c_str());
    if (type == NFT_MSG_NEWTABLE) nftnl_table_set_u32(object.get(), NFTNL_TABLE_FLAGS, 0);
    nftnl_table_nlmsg_build_payload(header, object.get());
  });
}

netlink::Message Edge(nlmsghdr* (*build)(char*, uint32_t)) {
  char buffer[MNL_NLMSG_HDRLEN + 64];
  netlink::Message message = Named(build(buffer, 0));
  message.acknowledged = false;
  return message;
}

}  // namespace

netlink::Message MakeNftMessage(uint16_t type, uint16_t flags,
                                const std::function<void(nlmsghdr*)>& fill) {
  std::vector<char> buffer(kMessageRoom);
  nlmsghdr* header = nftnl_nlmsg_build_hdr(buffer.data(), type, NFPROTO_INET, flags, 0);
  fill(header);
  return Named(header);
}

netlink::Message AddTable(const std::string& table) {
  return TableMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE, table);
}

netlink::Message DeleteTable(const std::string& table) {
  return TableMessage(NFT_MSG_DELTABLE, 0, table);
}

netlink::Message FlushTable(const std::string& table) {
  return MakeNftMessage(NFT_MSG_DELRULE, 0, [&](nlmsghdr* header) {
    const NftRule rule = NewRule();
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table.c_str());
    nftnl_rule_nlmsg_build_payload(header, rule.get());
  });
}

netlink::Message AddChain(const std::string& table, const ChainSpec& chain) {
  return MakeNftMessage(NFT_MSG_NEWCHAIN, NLM_F_CREATE, [&](nlmsghdr* header) {
    const NftChain object = NewChain();
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table.c_str());
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name);
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TYPE, chain.type);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_HOOKNUM, chain.hook);
    nftnl_chain_set_s32(object.get(), NFTNL_CHAIN_PRIO, chain.priority);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    nftnl_chain_nlmsg_build_payload(header, object.get());
  });
}

netlink::Message AddRule(const NftRule& rule) {
  return MakeNftMessage(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&](nlmsghdr* header) {
    nftnl_rule_nlmsg_build_payload(header, rule.get());
  });
}

netlink::Transaction Batch(std::vector<netlink::Message> messages) {
  messages.insert(messages.begin(), Edge(nftnl_batch_begin));
  messages.push_back(Edge(nftnl_batch_end));
  return {.family = NETLINK_NETFILTER, .messages = std::move(messages)};
}

}  // namespace ambit::redirect
