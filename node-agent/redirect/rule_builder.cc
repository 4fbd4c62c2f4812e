#include "node-agent/redirect/rule_builder.h"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace ambit::redirect {
namespace {

nftnl_expr* Append(const NftRule& rule, const char* name) {
  nftnl_expr* expression = nftnl_expr_alloc(name);
  if (expression == nullptr) std::abort();
  nftnl_rule_add_expr(rule.get(), expression);
  return expression;
}

template <typename T>
ByteSpan Raw(const T& value) {
  return {reinterpret_cast<const std::byte*>(&value), sizeof(value)};
}

uint32_t NfFamily(net::Family family) {
  return family == net::Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

}  // namespace

RuleBuilder::RuleBuilder(const std::string& table, const std::string& chain) : rule_(NewRule()) {
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
}

RuleBuilder& RuleBuilder::Family(net::Family family) {
  LoadMeta(NFT_META_NFPROTO);
  Compare(Match::kEqual, Raw(static_cast<uint8_t>(NfFamily(family))));
  return *this;
}

RuleBuilder& RuleBuilder::Protocol(uint8_t protocol) {
  LoadMeta(NFT_META_L4PROTO);
  Compare(Match::kEqual, Raw(protocol));
  return *this;
}

RuleBuilder& RuleBuilder::Address(Side side, Match match, const net::IpAddress& address) {
  LoadAddress(side, address.family());
  Compare(match, address.bytes());
  return *this;
}

RuleBuilder& RuleBuilder::AddressInSet(Side side, net::Family family, const std::string& set) {
  LoadAddress(side, family);
  nftnl_expr* lookup = Append(rule_, "lookup");
  nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  return *this;
}

RuleBuilder& RuleBuilder::Port(Side side, Match match, uint16_t port) {
  nftnl_expr* payload = Append(rule_, "payload");
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, side == Side::kSource ? 0 : 2);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, sizeof(port));
  Compare(match, Raw(htons(port)));
  return *this;
}

RuleBuilder& RuleBuilder::InInterface(Match match, const std::string& name) {
  InterfaceName(NFT_META_IIFNAME, match, name);
  return *this;
}

RuleBuilder& RuleBuilder::OutInterface(Match match, const std::string& name) {
  InterfaceName(NFT_META_OIFNAME, match, name);
  return *this;
}

RuleBuilder& RuleBuilder::Mark(Match match, uint32_t value, uint32_t mask) {
  LoadMeta(NFT_META_MARK);
  Mask(mask, 0);
  Compare(match, Raw(value));
  return *this;
}

RuleBuilder& RuleBuilder::ConnectionMark(Match match, uint32_t value, uint32_t mask) {
  LoadCt(NFT_CT_MARK);
  Mask(mask, 0);
  Compare(match, Raw(value));
  return *this;
}

RuleBuilder& RuleBuilder::SocketUid(uint32_t uid) {
  LoadMeta(NFT_META_SKUID);
  Compare(Match::kEqual, Raw(uid));
  return *this;
}

RuleBuilder& RuleBuilder::Counter() {
  Append(rule_, "counter");
  return *this;
}

RuleBuilder& RuleBuilder::Accept() {
  nftnl_expr* verdict = Append(rule_, "immediate");
  nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_VERDICT, NF_ACCEPT);
  return *this;
}

RuleBuilder& RuleBuilder::RedirectTo(uint16_t port) {
  LoadValue(Raw(htons(port)));
  nftnl_expr* redirect = Append(rule_, "redir");
  // Both ends and the flag are what the kernel reports back, so that plan and listing compare.
  nftnl_expr_set_u32(redirect, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
  nftnl_expr_set_u32(redirect, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFT_REG_1);
  nftnl_expr_set_u32(redirect, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  return *this;
}

RuleBuilder& RuleBuilder::SourceNat(const net::IpAddress& address) {
  LoadValue(address.bytes());
  nftnl_expr* nat = Append(rule_, "nat");
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_FAMILY, NfFamily(address.family()));
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
  return *this;
}

RuleBuilder& RuleBuilder::SetConnectionMark(uint32_t value, uint32_t mask) {
  LoadCt(NFT_CT_MARK);
  Mask(~mask, value);
  nftnl_expr* set = Append(rule_, "ct");
  nftnl_expr_set_u32(set, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
  nftnl_expr_set_u32(set, NFTNL_EXPR_CT_SREG, NFT_REG_1);
  return *this;
}

RuleBuilder& RuleBuilder::CopyConnectionMarkToPacket() {
  LoadCt(NFT_CT_MARK);
  nftnl_expr* set = Append(rule_, "meta");
  nftnl_expr_set_u32(set, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  nftnl_expr_set_u32(set, NFTNL_EXPR_META_SREG, NFT_REG_1);
  return *this;
}

RuleBuilder& RuleBuilder::SetZone(uint16_t zone) {
  LoadValue(Raw(zone));
  nftnl_expr* set = Append(rule_, "ct");
  nftnl_expr_set_u32(set, NFTNL_EXPR_CT_KEY, NFT_CT_ZONE);
  nftnl_expr_set_u32(set, NFTNL_EXPR_CT_SREG, NFT_REG_1);
  return *this;
}

RuleBuilder& RuleBuilder::Comment(const std::string& text) {
  const std::unique_ptr<nftnl_udata_buf, decltype(&nftnl_udata_buf_free)> buffer(
      nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN), &nftnl_udata_buf_free);
  if (!buffer) std::abort();
  nftnl_udata_put_strz(buffer.get(), NFTNL_UDATA_RULE_COMMENT, text.c_str());
  nftnl_rule_set_data(rule_.get(), NFTNL_RULE_USERDATA, nftnl_udata_buf_data(buffer.get()),
                      nftnl_udata_buf_len(buffer.get()));
  return *this;
}

void RuleBuilder::LoadMeta(uint32_t key) {
  nftnl_expr* meta = Append(rule_, "meta");
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void RuleBuilder::LoadCt(uint32_t key) {
  nftnl_expr* ct = Append(rule_, "ct");
  nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void RuleBuilder::LoadAddress(Side side, net::Family family) {
  Family(family);
  const bool v4 = family == net::Family::kIpv4;
  const uint32_t length = v4 ? 4 : 16;
  const uint32_t first = v4 ? 12 : 8;  // of the source address in the IP header
  nftnl_expr* payload = Append(rule_, "payload");
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET,
                     side == Side::kSource ? first : first + length);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, length);
}

void RuleBuilder::Mask(uint32_t mask, uint32_t flip) {
  nftnl_expr* bitwise = Append(rule_, "bitwise");
  nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, sizeof(mask));
  nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof(mask));
  nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, &flip, sizeof(flip));
}

void RuleBuilder::Compare(Match match, ByteSpan value) {
  nftnl_expr* compare = Append(rule_, "cmp");
  nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, match == Match::kEqual ? NFT_CMP_EQ : NFT_CMP_NEQ);
  nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<uint32_t>(value.size()));
}

void RuleBuilder::LoadValue(ByteSpan value) {
  nftnl_expr* immediate = Append(rule_, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
  nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, value.data(), static_cast<uint32_t>(value.size()));
}

void RuleBuilder::InterfaceName(uint32_t key, Match match, const std::string& name) {
  // The whole field, so that "eth1" does not match "eth10".
  std::array<char, IFNAMSIZ> field{};
  std::memcpy(field.data(), name.data(), std::min(name.size(), field.size() - 1));
  LoadMeta(key);
  Compare(match, Raw(field));
}

}  // namespace ambit::redirect
