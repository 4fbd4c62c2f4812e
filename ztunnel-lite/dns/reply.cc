#include <algorithm>

#include "ztunnel-lite/dns/message.h"

namespace ambit::dns {
namespace {

constexpr uint16_t kQr = 0x8000, kOpcodeMask = 0x7800, kAa = 0x0400, kTc = 0x0200, kRd = 0x0100,
                   kRa = 0x0080, kCd = 0x0010;
constexpr uint16_t kTypeCname = 5, kTypeSoa = 6, kTypeOpt = 41;
constexpr uint16_t kClassIn = 1;
constexpr uint16_t kQuestionPointer = 0xc000 | kHeaderBytes;
constexpr uint32_t kTtlSeconds = 30;
// A service that has no address now may have one soon.
constexpr uint32_t kNegativeTtlSeconds = 5;
constexpr uint16_t kOwnUdpBytes = 1232;
constexpr size_t kOptBytes = 11;
constexpr uint16_t kDnssecOk = 0x8000;

// Appends to a message that never grows beyond its limit.
class Writer {
 public:
  explicit Writer(size_t limit) : limit_(limit) { bytes_.reserve(std::min<size_t>(limit, 512)); }

  size_t size() const { return bytes_.size(); }
  bool Fits(size_t more) const { return bytes_.size() + more <= limit_; }
  void Reserve(size_t tail) { limit_ -= std::min(tail, limit_); }
  void Release(size_t tail) { limit_ += tail; }

  void Put8(uint8_t value) { bytes_.push_back(std::byte(value)); }
  void Put16(uint16_t value) {
    Put8(static_cast<uint8_t>(value >> 8));
    Put8(static_cast<uint8_t>(value & 0xff));
  }
  void Put32(uint32_t value) {
    Put16(static_cast<uint16_t>(value >> 16));
    Put16(static_cast<uint16_t>(value & 0xffff));
  }
  void Put(ByteSpan bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void PutRecord(uint16_t owner_pointer, uint16_t type, uint32_t ttl, uint16_t data_bytes) {
    Put16(owner_pointer);
    Put16(type);
    Put16(kClassIn);
    Put32(ttl);
    Put16(data_bytes);
  }
  void Patch16(size_t at, uint16_t value) {
    bytes_[at] = std::byte(value >> 8);
    bytes_[at + 1] = std::byte(value & 0xff);
  }
  Bytes Take() { return std::move(bytes_); }

 private:
  size_t limit_;
  Bytes bytes_;
};

constexpr size_t kRecordBytes = 12;  // a record with a pointer for its owner, without data

// The name in wire form, its letters as they are.
Bytes WireName(std::string_view name) {
  Bytes wire;
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    wire.push_back(std::byte(label.size()));
    for (char c : label) wire.push_back(std::byte(c));
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  wire.push_back(std::byte(0));
  return wire;
}

uint16_t ReplyFlags(uint16_t query_flags, const Reply& reply) {
  uint16_t flags = kQr | kRa | (query_flags & (kOpcodeMask | kRd | kCd));
  if (reply.authoritative) flags |= kAa;
  return flags | (static_cast<uint16_t>(reply.rcode) & 0xf);
}

// The records of one reply, with the counts that the header will have.
class Sections {
 public:
  explicit Sections(Writer& out) : out_(out) {}

  void PutAnswers(const Reply& reply) {
    if (!reply.alias.empty() && !PutAlias(reply.alias)) return;
    for (const auto& address : reply.addresses) {
      const ByteSpan data = address.bytes();
      if (!Room(kRecordBytes + data.size())) return;
      out_.PutRecord(owner_, address.is_v4() ? kTypeA : kTypeAaaa, kTtlSeconds,
                     static_cast<uint16_t>(data.size()));
      out_.Put(data);
      ++answers_;
    }
    if (reply.negative) PutSoa();
  }
  void PutOpt(const Edns& edns, Rcode rcode) {
    out_.Put8(0);
    out_.Put16(kTypeOpt);
    out_.Put16(kOwnUdpBytes);
    out_.Put8(static_cast<uint8_t>(static_cast<uint16_t>(rcode) >> 4));
    out_.Put8(0);  // the version we speak
    out_.Put16(edns.dnssec_ok ? kDnssecOk : 0);
    out_.Put16(0);
    ++additional_;
  }
  uint16_t answers() const { return answers_; }
  uint16_t authority() const { return authority_; }
  uint16_t additional() const { return additional_; }
  bool truncated() const { return truncated_; }

 private:
  bool Room(size_t more) {
    if (out_.Fits(more)) return true;
    truncated_ = true;
    return false;
  }
  // Whatever follows belongs to the name it leads to.
  bool PutAlias(const std::string& alias) {
    const Bytes target = WireName(alias);
    if (!Room(kRecordBytes + target.size())) return false;
    out_.PutRecord(owner_, kTypeCname, kTtlSeconds, static_cast<uint16_t>(target.size()));
    owner_ = static_cast<uint16_t>(0xc000 | out_.size());
    out_.Put(target);
    ++answers_;
    return true;
  }
  // The name itself stands for its zone: that is above it whatever the domain.
  void PutSoa() {
    constexpr std::string_view kMailbox = "hostmaster";
    constexpr uint16_t kDataBytes = 2 + (1 + kMailbox.size() + 2) + 5 * 4;
    if (!Room(kRecordBytes + kDataBytes)) return;
    out_.PutRecord(owner_, kTypeSoa, kNegativeTtlSeconds, kDataBytes);
    out_.Put16(owner_);
    out_.Put8(kMailbox.size());
    out_.Put(AsBytes(kMailbox));
    out_.Put16(owner_);
    for (uint32_t number : {1u, 7200u, 1800u, 86400u, kNegativeTtlSeconds}) out_.Put32(number);
    ++authority_;
  }

  Writer& out_;
  uint16_t owner_ = kQuestionPointer;
  uint16_t answers_ = 0, authority_ = 0, additional_ = 0;
  bool truncated_ = false;
};

uint16_t Read16(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                               std::to_integer<unsigned>(bytes[at + 1]));
}

}  // namespace

Bytes EncodeReply(const Query& query, const Reply& reply, const std::optional<Edns>& edns,
                  size_t limit) {
  Writer out(limit);
  const bool has_question = query.question_end > kHeaderBytes;
  uint16_t flags = ReplyFlags(Read16(query.bytes, 2), reply);
  out.Put16(query.id());
  for (uint16_t field : {flags, uint16_t{has_question}, uint16_t{0}, uint16_t{0}, uint16_t{0}}) {
    out.Put16(field);
  }
  out.Put(query.bytes.subspan(kHeaderBytes, query.question_end - kHeaderBytes));
  Sections sections(out);
  const size_t tail = edns ? kOptBytes : 0;
  out.Reserve(tail);
  sections.PutAnswers(reply);
  out.Release(tail);
  if (edns) sections.PutOpt(*edns, reply.rcode);
  if (sections.truncated()) flags |= kTc;
  out.Patch16(2, flags);
  out.Patch16(6, sections.answers());
  out.Patch16(8, sections.authority());
  out.Patch16(10, sections.additional());
  return out.Take();
}

Bytes EncodeFormErr(ByteSpan message) {
  const Query header{.bytes = message};
  return EncodeReply(header, {.rcode = Rcode::kFormErr}, std::nullopt, kPlainUdpBytes);
}

}  // namespace ambit::dns
