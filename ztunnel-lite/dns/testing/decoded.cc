#include "ztunnel-lite/dns/testing/decoded.h"

#include <algorithm>
#include <cstdlib>

namespace ambit::dns::testing {

Bytes Encode(const Question& question) {
  ldns_rdf* name = ldns_dname_new_frm_str(question.name.c_str());
  ldns_pkt* packet = ldns_pkt_query_new(name, static_cast<ldns_rr_type>(question.type),
                                        LDNS_RR_CLASS_IN, question.recursion_desired ? LDNS_RD : 0);
  ldns_pkt_set_id(packet, question.id);
  ldns_pkt_set_cd(packet, question.checking_disabled);
  if (question.udp_bytes) {
    ldns_pkt_set_edns_udp_size(packet, *question.udp_bytes);
    ldns_pkt_set_edns_do(packet, question.dnssec_ok);
  }
  uint8_t* wire = nullptr;
  size_t size = 0;
  if (ldns_pkt2wire(&wire, packet, &size) != LDNS_STATUS_OK) std::abort();
  const auto* bytes = reinterpret_cast<const std::byte*>(wire);
  Bytes encoded(bytes, bytes + size);
  LDNS_FREE(wire);
  ldns_pkt_free(packet);
  return encoded;
}

Bytes Hex(const std::string& text) {
  std::string digits = text;
  std::erase(digits, ' ');
  return HexDecode(digits).value();
}

Decoded::Decoded(ByteSpan message) {
  ldns_pkt* packet = nullptr;
  valid_ = ldns_wire2pkt(&packet, reinterpret_cast<const uint8_t*>(message.data()),
                         message.size()) == LDNS_STATUS_OK;
  if (packet != nullptr) packet_.reset(packet);
}

std::string Decoded::rcode() const {
  if (!valid_) return "undecodable";
  char* text = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet_.get()));
  std::string rcode(text);
  LDNS_FREE(text);
  return rcode;
}

std::string Decoded::flags() const {
  const ldns_pkt* packet = packet_.get();
  std::string flags;
  for (auto [set, name] : {std::pair{ldns_pkt_qr(packet), "qr"},
                           {ldns_pkt_aa(packet), "aa"},
                           {ldns_pkt_tc(packet), "tc"},
                           {ldns_pkt_rd(packet), "rd"},
                           {ldns_pkt_ra(packet), "ra"},
                           {ldns_pkt_cd(packet), "cd"}}) {
    if (set) flags += (flags.empty() ? "" : " ") + std::string(name);
  }
  return flags;
}

std::string Decoded::Text(const ldns_rr_list* records) {
  std::string text;
  for (size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
    char* line = ldns_rr2str(ldns_rr_list_rr(records, i));
    text += line;
    LDNS_FREE(line);
  }
  std::ranges::replace(text, '\t', ' ');
  return text;
}

}  // namespace ambit::dns::testing
