#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "lib/net/address.h"
#include "lib/netlink/program.h"

// Purpose  nftables sets of addresses, in messages and read back.
// Threads  ReadAddresses blocks and works in the calling thread's namespace; the rest is pure.
namespace ambit::probes {

struct AddressSet {
  const char* table;  // of family inet
  const char* name;
  net::Family family;
};

enum class Change : uint8_t { kAdd, kDelete };

netlink::Message AddSet(const AddressSet& set);
// As many messages as the addresses need; none without addresses.
std::vector<netlink::Message> ChangeAddresses(const AddressSet& set, Change change,
                                              const std::set<net::IpAddress>& addresses);
// Empty where the set does not exist.
Result<std::set<net::IpAddress>> ReadAddresses(const AddressSet& set);

}  // namespace ambit::probes
