#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/net/address.h"

// Purpose  DNS messages: what must be known of a question, what is answered by us, and whether an
//          answer belongs to a question. Bytes in, bytes out. A question is parsed no further than
//          its first name, so that what is forwarded may be anything.
// Source   RFC 1035, 2308 (negative answers), 5452 (matching answers), 6891 (EDNS), 9619 (one
//          question).
namespace ambit::dns {

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kMaxMessageBytes = 65535;
inline constexpr size_t kPlainUdpBytes = 512;  // what a client without EDNS takes by UDP
inline constexpr uint16_t kTypeA = 1, kTypeAaaa = 28, kTypeIxfr = 251, kTypeAxfr = 252;

// The RCODE field, with the two digits that EDNS adds.
enum class Rcode : uint16_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kBadVers = 16,
};

struct Query {
  ByteSpan bytes;  // the whole message, borrowed
  uint8_t opcode = 0;
  size_t question_end = kHeaderBytes;  // behind the first question; there may be none
  uint16_t type = 0;
  uint16_t klass = 0;
  // Lower case, without the dot at the end. Empty: the root, no question, or a name with bytes that
  // no hostname has.
  std::string name{};

  uint16_t id() const;
  bool IsForAddress() const;  // A or AAAA of the internet class
};

enum class Fault : uint8_t {
  kNotAQuery,  // an answer, or too short for a header: never answered
  kMalformed,
};
std::expected<Query, Fault> ParseQuery(ByteSpan message);

// What the client says of itself in its OPT record.
struct Edns {
  uint16_t udp_bytes = 0;
  uint8_t version = 0;
  bool dnssec_ok = false;
};
// Decodes the whole message. Errors  kProtocol: it does not decode.
Result<std::optional<Edns>> ParseEdns(const Query& query);

// What a message that came by UDP may be answered with.
size_t UdpLimit(const std::optional<Edns>& edns);

struct Reply {
  Rcode rcode = Rcode::kNoError;
  bool authoritative = false;
  std::string alias{};  // a CNAME from the question to here comes first
  std::vector<net::IpAddress> addresses{};
  bool negative = false;  // an SOA says for how long there is nothing
};
// Question, letter case, RD and CD as asked. What does not fit into `limit` is cut off between two
// records, and TC says so.
Bytes EncodeReply(const Query& query, const Reply& reply, const std::optional<Edns>& edns,
                  size_t limit);
// The same for what cannot be decoded: a header alone.
Bytes EncodeFormErr(ByteSpan message);

// Whether `message` answers the query: identifier, opcode and question. Letter case may differ:
// some servers change it. Servers that refuse may leave the question out.
bool Answers(ByteSpan message, const Query& query, uint16_t id);
void SetId(std::span<std::byte> message, uint16_t id);
uint16_t ReadId(ByteSpan message);
uint8_t ReadRcode(ByteSpan message);

}  // namespace ambit::dns
