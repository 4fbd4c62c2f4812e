#include "ztunnel-lite/dns/message.h"

#include <algorithm>
#include <memory>

#include "ztunnel-lite/dns/ldns.h"

namespace ambit::dns {
namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr uint8_t kMaxLabelBytes = 63;
constexpr uint16_t kQr = 0x8000, kOpcodeMask = 0x7800, kRcodeMask = 0x000f;
constexpr uint16_t kClassIn = 1;

uint8_t ByteAt(ByteSpan bytes, size_t at) { return std::to_integer<uint8_t>(bytes[at]); }
uint16_t Read16(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(ByteAt(bytes, at) << 8 | ByteAt(bytes, at + 1));
}
uint16_t Flags(ByteSpan message) { return Read16(message, 2); }
uint16_t QuestionCount(ByteSpan message) { return Read16(message, 4); }

bool IsHostnameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*';
}
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Appends the label to the name in text form; false where it has bytes that no hostname has.
bool AppendLabel(std::string& name, ByteSpan label) {
  if (!name.empty()) name += '.';
  for (std::byte byte : label) {
    const char c = Lower(static_cast<char>(byte));
    if (!IsHostnameByte(c)) return false;
    name += c;
  }
  return true;
}

// Reads name, type and class behind the header; false if they do not decode. There is nothing in
// front of the first name that a compression pointer could lead to.
bool ParseQuestion(Query& query) {
  const ByteSpan bytes = query.bytes;
  size_t at = kHeaderBytes;
  bool plain = true;
  while (true) {
    if (at >= bytes.size()) return false;
    const uint8_t length = ByteAt(bytes, at++);
    if (length == 0) break;
    if (length > kMaxLabelBytes || at + length > bytes.size()) return false;
    plain = plain && AppendLabel(query.name, bytes.subspan(at, length));
    at += length;
  }
  if (at - kHeaderBytes > kMaxNameBytes || at + 4 > bytes.size()) return false;
  if (!plain) query.name.clear();
  query.type = Read16(bytes, at);
  query.klass = Read16(bytes, at + 2);
  query.question_end = at + 4;
  return true;
}

bool SameIgnoringCase(ByteSpan a, ByteSpan b) {
  return std::ranges::equal(
      a, b, {}, [](std::byte x) { return Lower(static_cast<char>(x)); },
      [](std::byte x) { return Lower(static_cast<char>(x)); });
}

// A refusal may come without the question it refuses.
bool MayLackQuestion(ByteSpan message, const Query& query) {
  const uint8_t rcode = ReadRcode(message);
  constexpr uint8_t kFormErr = 1, kServFail = 2, kNotImp = 4, kRefused = 5;
  return query.opcode != 0 || rcode == kFormErr || rcode == kServFail || rcode == kNotImp ||
         rcode == kRefused;
}

}  // namespace

uint16_t Query::id() const { return ReadId(bytes); }
bool Query::IsForAddress() const {
  return opcode == 0 && klass == kClassIn && (type == kTypeA || type == kTypeAaaa);
}

std::expected<Query, Fault> ParseQuery(ByteSpan message) {
  if (message.size() < kHeaderBytes || (Flags(message) & kQr) != 0) {
    return std::unexpected(Fault::kNotAQuery);
  }
  Query query{.bytes = message,
              .opcode = static_cast<uint8_t>((Flags(message) & kOpcodeMask) >> 11)};
  // An update, a notification or a cookie alone has no question of the form we look for.
  if (query.opcode != 0 || QuestionCount(message) == 0) return query;
  if (QuestionCount(message) > 1 || !ParseQuestion(query)) {
    return std::unexpected(Fault::kMalformed);
  }
  return query;
}

Result<std::optional<Edns>> ParseEdns(const Query& query) {
  ldns_pkt* decoded = nullptr;
  const auto* data = reinterpret_cast<const uint8_t*>(query.bytes.data());
  const ldns_status status = ldns_wire2pkt(&decoded, data, query.bytes.size());
  const std::unique_ptr<ldns_pkt, void (*)(ldns_pkt*)> packet(decoded, ldns_pkt_free);
  if (status != LDNS_STATUS_OK) {
    return Fail(ErrorCode::kProtocol,
                std::string("the message does not decode: ") + ldns_get_errorstr_by_id(status));
  }
  if (!ldns_pkt_edns(packet.get())) return std::nullopt;
  return Edns{.udp_bytes = ldns_pkt_edns_udp_size(packet.get()),
              .version = ldns_pkt_edns_version(packet.get()),
              .dnssec_ok = ldns_pkt_edns_do(packet.get())};
}

size_t UdpLimit(const std::optional<Edns>& edns) {
  constexpr size_t kMaxUdpPayload = 65507 - 40;  // of IPv4 and of IPv6
  if (!edns) return kPlainUdpBytes;
  return std::clamp<size_t>(edns->udp_bytes, kPlainUdpBytes, kMaxUdpPayload);
}

bool Answers(ByteSpan message, const Query& query, uint16_t id) {
  if (message.size() < kHeaderBytes || ReadId(message) != id) return false;
  if ((Flags(message) & kQr) == 0) return false;
  if (((Flags(message) ^ Flags(query.bytes)) & kOpcodeMask) != 0) return false;
  if (QuestionCount(message) == 0) {
    return QuestionCount(query.bytes) == 0 || MayLackQuestion(message, query);
  }
  if (QuestionCount(message) != QuestionCount(query.bytes)) return false;
  if (query.opcode != 0) return true;
  if (message.size() < query.question_end) return false;
  const size_t name_bytes = query.question_end - kHeaderBytes - 4;
  return SameIgnoringCase(message.subspan(kHeaderBytes, name_bytes),
                          query.bytes.subspan(kHeaderBytes, name_bytes)) &&
         std::ranges::equal(message.subspan(query.question_end - 4, 4),
                            query.bytes.subspan(query.question_end - 4, 4));
}

void SetId(std::span<std::byte> message, uint16_t id) {
  message[0] = std::byte(id >> 8);
  message[1] = std::byte(id & 0xff);
}
uint16_t ReadId(ByteSpan message) { return Read16(message, 0); }
uint8_t ReadRcode(ByteSpan message) { return static_cast<uint8_t>(Flags(message) & kRcodeMask); }

}  // namespace ambit::dns
