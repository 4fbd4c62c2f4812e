#include "node-agent/redirect/rule_text.h"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>

#include "lib/net/address.h"

namespace ambit::redirect {
namespace {

// How the bytes of a value are to be read.
enum class Kind : uint8_t { kRaw, kMark, kNumber, kFamily, kProtocol, kName, kPort, kAddress };

// What a register holds: words for a loaded field, or the bytes of a constant.
struct Content {
  std::string words;
  Kind kind = Kind::kRaw;
  Bytes value;
};

std::string Hex32(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", value);
  return text;
}

template <typename T>
T Load(ByteSpan bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof(value), bytes.size()));
  return value;
}

std::string FamilyText(uint8_t family) {
  if (family == NFPROTO_IPV4) return "ipv4";
  return family == NFPROTO_IPV6 ? "ipv6" : std::to_string(family);
}

std::string ProtocolText(uint8_t protocol) {
  if (protocol == IPPROTO_TCP) return "tcp";
  return protocol == IPPROTO_UDP ? "udp" : std::to_string(protocol);
}

// Empty when the length does not fit the kind.
std::string ValueText(Kind kind, ByteSpan bytes) {
  const size_t size = bytes.size();
  if (kind == Kind::kMark && size == 4) return Hex32(Load<uint32_t>(bytes));
  if (kind == Kind::kNumber && size == 4) return std::to_string(Load<uint32_t>(bytes));
  if (kind == Kind::kNumber && size == 2) return std::to_string(Load<uint16_t>(bytes));
  if (kind == Kind::kFamily && size == 1) return FamilyText(Load<uint8_t>(bytes));
  if (kind == Kind::kProtocol && size == 1) return ProtocolText(Load<uint8_t>(bytes));
  if (kind == Kind::kPort && size == 2) return std::to_string(ntohs(Load<uint16_t>(bytes)));
  if (kind == Kind::kAddress) {
    auto address = net::IpAddress::FromBytes(bytes);
    if (address) return address->ToString();
  }
  if (kind == Kind::kName && size == 16) {
    return "\"" + std::string(AsText(bytes).substr(0, AsText(bytes).find('\0'))) + "\"";
  }
  return "0x" + HexEncode(bytes);
}

struct Field {
  std::string_view words;
  Kind kind;
};

Field MetaField(uint32_t key) {
  switch (key) {
    case NFT_META_NFPROTO:
      return {"meta nfproto", Kind::kFamily};
    case NFT_META_L4PROTO:
      return {"meta l4proto", Kind::kProtocol};
    case NFT_META_MARK:
      return {"meta mark", Kind::kMark};
    case NFT_META_IIFNAME:
      return {"iifname", Kind::kName};
    case NFT_META_OIFNAME:
      return {"oifname", Kind::kName};
    case NFT_META_SKUID:
      return {"meta skuid", Kind::kNumber};
    default:
      return {};
  }
}

Field CtField(uint32_t key) {
  if (key == NFT_CT_MARK) return {"ct mark", Kind::kMark};
  if (key == NFT_CT_ZONE) return {"ct zone", Kind::kNumber};
  return {};
}

Field PayloadField(uint32_t base, uint32_t offset, uint32_t length) {
  struct Known {
    uint32_t base, offset, length;
    Field field;
  };
  constexpr std::array<Known, 6> kKnown = {{
      {NFT_PAYLOAD_NETWORK_HEADER, 12, 4, {"ip saddr", Kind::kAddress}},
      {NFT_PAYLOAD_NETWORK_HEADER, 16, 4, {"ip daddr", Kind::kAddress}},
      {NFT_PAYLOAD_NETWORK_HEADER, 8, 16, {"ip6 saddr", Kind::kAddress}},
      {NFT_PAYLOAD_NETWORK_HEADER, 24, 16, {"ip6 daddr", Kind::kAddress}},
      {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, {"th sport", Kind::kPort}},
      {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, {"th dport", Kind::kPort}},
  }};
  for (const Known& known : kKnown) {
    if (known.base == base && known.offset == offset && known.length == length) return known.field;
  }
  return {};
}

ByteSpan Data(const nftnl_expr* expression, uint16_t attribute) {
  uint32_t length = 0;
  const void* data = nftnl_expr_get(expression, attribute, &length);
  if (data == nullptr) return {};
  return {static_cast<const std::byte*>(data), length};
}

uint32_t Number(const nftnl_expr* expression, uint16_t attribute) {
  return nftnl_expr_get_u32(expression, attribute);
}

// Runs the expressions of one rule in words. Each step returns false for what it has no words for.
class Reader {
 public:
  void Read(nftnl_expr* expression) {
    const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    if (!Known(name, expression)) Say(Fallback(expression));
  }
  void Say(const std::string& words) { text_ += (text_.empty() ? "" : " ") + words; }
  std::string Take() { return std::move(text_); }

 private:
  bool Known(std::string_view name, const nftnl_expr* expression) {
    if (name == "meta") return Meta(expression);
    if (name == "ct") return Ct(expression);
    if (name == "payload") return Payload(expression);
    if (name == "bitwise") return Bitwise(expression);
    if (name == "cmp") return Compare(expression);
    if (name == "immediate") return Immediate(expression);
    if (name == "redir") return Redirect(expression);
    if (name == "nat") return Nat(expression);
    if (name == "lookup") return Lookup(expression);
    if (name == "counter") Say("counter");
    return name == "counter";
  }

  bool Meta(const nftnl_expr* e) {
    const Field field = MetaField(Number(e, NFTNL_EXPR_META_KEY));
    if (nftnl_expr_is_set(e, NFTNL_EXPR_META_SREG)) {
      return Assign(field, Number(e, NFTNL_EXPR_META_SREG));
    }
    return Keep(field, Number(e, NFTNL_EXPR_META_DREG));
  }

  bool Ct(const nftnl_expr* e) {
    const Field field = CtField(Number(e, NFTNL_EXPR_CT_KEY));
    if (nftnl_expr_is_set(e, NFTNL_EXPR_CT_DIR)) return false;
    if (nftnl_expr_is_set(e, NFTNL_EXPR_CT_SREG)) {
      return Assign(field, Number(e, NFTNL_EXPR_CT_SREG));
    }
    return Keep(field, Number(e, NFTNL_EXPR_CT_DREG));
  }

  bool Payload(const nftnl_expr* e) {
    if (nftnl_expr_is_set(e, NFTNL_EXPR_PAYLOAD_SREG)) return false;
    return Keep(
        PayloadField(Number(e, NFTNL_EXPR_PAYLOAD_BASE), Number(e, NFTNL_EXPR_PAYLOAD_OFFSET),
                     Number(e, NFTNL_EXPR_PAYLOAD_LEN)),
        Number(e, NFTNL_EXPR_PAYLOAD_DREG));
  }

  bool Bitwise(const nftnl_expr* e) {
    const ByteSpan mask = Data(e, NFTNL_EXPR_BITWISE_MASK);
    const ByteSpan flip = Data(e, NFTNL_EXPR_BITWISE_XOR);
    Content content = registers_[Number(e, NFTNL_EXPR_BITWISE_SREG)];
    if (mask.size() != 4 || flip.size() != 4 || content.words.empty()) return false;
    content.words += " & " + Hex32(Load<uint32_t>(mask));
    if (Load<uint32_t>(flip) != 0) content.words += " ^ " + Hex32(Load<uint32_t>(flip));
    registers_[Number(e, NFTNL_EXPR_BITWISE_DREG)] = std::move(content);
    return true;
  }

  bool Compare(const nftnl_expr* e) {
    const uint32_t operation = Number(e, NFTNL_EXPR_CMP_OP);
    const Content& content = registers_[Number(e, NFTNL_EXPR_CMP_SREG)];
    if (content.words.empty() || operation > NFT_CMP_NEQ) return false;
    Say(content.words + (operation == NFT_CMP_EQ ? " == " : " != ") +
        ValueText(content.kind, Data(e, NFTNL_EXPR_CMP_DATA)));
    return true;
  }

  bool Immediate(const nftnl_expr* e) {
    if (nftnl_expr_is_set(e, NFTNL_EXPR_IMM_VERDICT)) {
      if (nftnl_expr_is_set(e, NFTNL_EXPR_IMM_CHAIN)) return false;
      const auto verdict = static_cast<int32_t>(Number(e, NFTNL_EXPR_IMM_VERDICT));
      if (verdict != NF_ACCEPT) return false;
      Say("accept");
      return true;
    }
    const ByteSpan data = Data(e, NFTNL_EXPR_IMM_DATA);
    registers_[Number(e, NFTNL_EXPR_IMM_DREG)] = {
        .words = {}, .kind = Kind::kRaw, .value = Bytes(data.begin(), data.end())};
    return !data.empty();
  }

  bool Redirect(const nftnl_expr* e) {
    if (!nftnl_expr_is_set(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN)) return false;
    const uint32_t from = Number(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN);
    // Older kernels report neither the end of the range nor the flag.
    if (nftnl_expr_is_set(e, NFTNL_EXPR_REDIR_REG_PROTO_MAX) &&
        Number(e, NFTNL_EXPR_REDIR_REG_PROTO_MAX) != from) {
      return false;
    }
    if ((Number(e, NFTNL_EXPR_REDIR_FLAGS) & ~uint32_t{NF_NAT_RANGE_PROTO_SPECIFIED}) != 0) {
      return false;
    }
    Say("redirect to :" + ValueText(Kind::kPort, registers_[from].value));
    return true;
  }

  bool Nat(const nftnl_expr* e) {
    const bool plain = Number(e, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_SNAT &&
                       !nftnl_expr_is_set(e, NFTNL_EXPR_NAT_REG_PROTO_MIN) &&
                       (Number(e, NFTNL_EXPR_NAT_FLAGS) & ~uint32_t{NF_NAT_RANGE_MAP_IPS}) == 0;
    const uint32_t from = Number(e, NFTNL_EXPR_NAT_REG_ADDR_MIN);
    if (!plain || (nftnl_expr_is_set(e, NFTNL_EXPR_NAT_REG_ADDR_MAX) &&
                   Number(e, NFTNL_EXPR_NAT_REG_ADDR_MAX) != from)) {
      return false;
    }
    Say("snat to " + ValueText(Kind::kAddress, registers_[from].value));
    return true;
  }

  bool Lookup(const nftnl_expr* e) {
    const Content& content = registers_[Number(e, NFTNL_EXPR_LOOKUP_SREG)];
    if (content.words.empty() || nftnl_expr_is_set(e, NFTNL_EXPR_LOOKUP_DREG) ||
        Number(e, NFTNL_EXPR_LOOKUP_FLAGS) != 0) {
      return false;
    }
    Say(content.words + " @" + nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET));
    return true;
  }

  bool Keep(const Field& field, uint32_t destination) {
    if (field.words.empty()) return false;
    registers_[destination] = {.words = std::string(field.words), .kind = field.kind, .value = {}};
    return true;
  }

  bool Assign(const Field& field, uint32_t source) {
    if (field.words.empty()) return false;
    const Content& content = registers_[source];
    Say(std::string(field.words) + " set " +
        (content.words.empty() ? ValueText(field.kind, content.value) : content.words));
    return true;
  }

  static std::string Fallback(const nftnl_expr* expression) {
    char buffer[1024] = "";
    nftnl_expr_snprintf(buffer, sizeof(buffer), expression, NFTNL_OUTPUT_DEFAULT, 0);
    return std::string("[") + nftnl_expr_get_str(expression, NFTNL_EXPR_NAME) + " " + buffer + "]";
  }

  std::map<uint32_t, Content> registers_;
  std::string text_;
};

int RememberComment(const nftnl_udata* attribute, void* data) {
  if (nftnl_udata_type(attribute) != NFTNL_UDATA_RULE_COMMENT) return 0;
  const auto* text = static_cast<const char*>(nftnl_udata_get(attribute));
  *static_cast<std::string*>(data) = std::string(text, strnlen(text, nftnl_udata_len(attribute)));
  return 0;
}

std::string CommentOf(const NftRule& rule) {
  uint32_t length = 0;
  const void* userdata = nftnl_rule_get_data(rule.get(), NFTNL_RULE_USERDATA, &length);
  std::string comment;
  if (userdata != nullptr && nftnl_udata_parse(userdata, length, RememberComment, &comment) < 0) {
    return {};
  }
  return comment;
}

}  // namespace

std::string RuleText(const NftRule& rule) {
  Reader reader;
  nftnl_expr_iter* iterator = nftnl_expr_iter_create(rule.get());
  if (iterator == nullptr) std::abort();
  while (nftnl_expr* expression = nftnl_expr_iter_next(iterator)) reader.Read(expression);
  nftnl_expr_iter_destroy(iterator);
  if (const std::string comment = CommentOf(rule); !comment.empty()) {
    reader.Say("comment \"" + comment + "\"");
  }
  return reader.Take();
}

}  // namespace ambit::redirect
