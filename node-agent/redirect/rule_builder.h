#pragma once

#include <cstdint>
#include <string>

#include "lib/net/address.h"
#include "node-agent/redirect/nft_object.h"

struct nftnl_expr;

// Purpose  one nftables rule, written as a chain of calls in the order in which nft would print it.
// Threads  values.
// Source   the expressions that `nft --debug=netlink` prints for the same words.
namespace ambit::redirect {

enum class Match : uint8_t { kEqual, kNotEqual };
enum class Side : uint8_t { kSource, kDestination };

class RuleBuilder {
 public:
  // A rule of family inet.
  RuleBuilder(const std::string& table, const std::string& chain);

  RuleBuilder& Family(net::Family family);
  RuleBuilder& Protocol(uint8_t protocol);
  // Includes the match of the address's family.
  RuleBuilder& Address(Side side, Match match, const net::IpAddress& address);
  RuleBuilder& AddressInSet(Side side, net::Family family, const std::string& set);
  // Only after Protocol(): the transport header must be known.
  RuleBuilder& Port(Side side, Match match, uint16_t port);
  RuleBuilder& InInterface(Match match, const std::string& name);
  RuleBuilder& OutInterface(Match match, const std::string& name);
  RuleBuilder& Mark(Match match, uint32_t value, uint32_t mask);
  RuleBuilder& ConnectionMark(Match match, uint32_t value, uint32_t mask);
  RuleBuilder& SocketUid(uint32_t uid);

  RuleBuilder& Counter();
  RuleBuilder& Accept();
  RuleBuilder& RedirectTo(uint16_t port);
  RuleBuilder& SourceNat(const net::IpAddress& address);
  // The bits of `mask` become those of `value`.
  RuleBuilder& SetConnectionMark(uint32_t value, uint32_t mask);
  RuleBuilder& CopyConnectionMarkToPacket();
  RuleBuilder& SetZone(uint16_t zone);
  RuleBuilder& Comment(const std::string& text);

  NftRule Build() { return std::move(rule_); }

 private:
  void LoadMeta(uint32_t key);
  void LoadCt(uint32_t key);
  void LoadAddress(Side side, net::Family family);
  void Mask(uint32_t mask, uint32_t flip);
  void Compare(Match match, ByteSpan value);
  void LoadValue(ByteSpan value);
  void InterfaceName(uint32_t key, Match match, const std::string& name);

  NftRule rule_;
};

}  // namespace ambit::redirect
