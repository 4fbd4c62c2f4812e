#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/base/bytes.h"
#include "ztunnel-lite/dns/ldns.h"

// Purpose  questions as an app's resolver makes them, and answers as ldns reads them: another
//          decoder than the one that is tested.
// Threads  values.
namespace ambit::dns::testing {

struct Question {
  std::string name;  // "Web.demo.": letters as they are, fully qualified
  uint16_t type = 1;
  uint16_t id = 0x1234;
  std::optional<uint16_t> udp_bytes{};  // EDNS
  bool recursion_desired = true;
  bool checking_disabled = false;
  bool dnssec_ok = false;
};
Bytes Encode(const Question& question);
// A message as hexadecimal digits with blanks between them.
Bytes Hex(const std::string& text);

class Decoded {
 public:
  // A message that does not decode has the rcode "undecodable".
  explicit Decoded(ByteSpan message);

  uint16_t id() const { return ldns_pkt_id(packet_.get()); }
  std::string rcode() const;
  // Those that are set, of "qr aa tc rd ra cd".
  std::string flags() const;
  std::string question() const { return Text(ldns_pkt_question(packet_.get())); }
  // One record a line: "web. 30 IN A 10.0.0.1".
  std::string answer() const { return Text(ldns_pkt_answer(packet_.get())); }
  std::string authority() const { return Text(ldns_pkt_authority(packet_.get())); }
  size_t answers() const { return ldns_rr_list_rr_count(ldns_pkt_answer(packet_.get())); }
  bool edns() const { return ldns_pkt_edns(packet_.get()); }
  bool dnssec_ok() const { return ldns_pkt_edns_do(packet_.get()); }
  uint16_t udp_bytes() const { return ldns_pkt_edns_udp_size(packet_.get()); }
  uint8_t extended_rcode() const { return ldns_pkt_edns_extended_rcode(packet_.get()); }

 private:
  static std::string Text(const ldns_rr_list* records);

  bool valid_ = false;
  std::unique_ptr<ldns_pkt, void (*)(ldns_pkt*)> packet_{ldns_pkt_new(), ldns_pkt_free};
};

}  // namespace ambit::dns::testing
