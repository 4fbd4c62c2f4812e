#include "node-agent/probes/set_message.h"

#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <cstdlib>
#include <memory>

#include "node-agent/redirect/dump.h"
#include "node-agent/redirect/nft_message.h"
#include "node-agent/redirect/nft_object.h"

namespace ambit::probes {
namespace {

using redirect::NftSet;

// Numbers of nft's data types; the kernel only keeps them for nft's listing.
constexpr uint32_t kTypeIpv4Address = 7;
constexpr uint32_t kTypeIpv6Address = 8;
constexpr size_t kAddressesPerMessage = 500;

bool IsV4(const AddressSet& set) { return set.family == net::Family::kIpv4; }

NftSet MakeSet(const AddressSet& set) {
  NftSet made = redirect::NewSet();
  nftnl_set_set_u32(made.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(made.get(), NFTNL_SET_TABLE, set.table);
  nftnl_set_set_str(made.get(), NFTNL_SET_NAME, set.name);
  return made;
}

void AddElement(const NftSet& set, const net::IpAddress& address) {
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  if (element == nullptr) std::abort();
  const ByteSpan key = address.bytes();
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(), static_cast<uint32_t>(key.size()));
  nftnl_set_elem_add(set.get(), element);
}

netlink::Message ElementMessage(const NftSet& set, Change change) {
  const uint16_t type = change == Change::kAdd ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
  const uint16_t flags = change == Change::kAdd ? NLM_F_CREATE : 0;
  return redirect::MakeNftMessage(type, flags, [&](nlmsghdr* header) {
    nftnl_set_elems_nlmsg_build_payload(header, set.get());
  });
}

int TakeElement(nftnl_set_elem* element, void* data) {
  uint32_t length = 0;
  const void* key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);
  if (key == nullptr) return 0;
  auto address = net::IpAddress::FromBytes({static_cast<const std::byte*>(key), length});
  if (address) static_cast<std::set<net::IpAddress>*>(data)->insert(*address);
  return 0;
}

}  // namespace

netlink::Message AddSet(const AddressSet& set) {
  return redirect::MakeNftMessage(NFT_MSG_NEWSET, NLM_F_CREATE, [&](nlmsghdr* header) {
    const NftSet made = MakeSet(set);
    nftnl_set_set_u32(made.get(), NFTNL_SET_KEY_TYPE,
                      IsV4(set) ? kTypeIpv4Address : kTypeIpv6Address);
    nftnl_set_set_u32(made.get(), NFTNL_SET_KEY_LEN, IsV4(set) ? 4 : 16);
    nftnl_set_set_u32(made.get(), NFTNL_SET_ID, IsV4(set) ? 1 : 2);  // asked for, not used by us
    nftnl_set_nlmsg_build_payload(header, made.get());
  });
}

std::vector<netlink::Message> ChangeAddresses(const AddressSet& set, Change change,
                                              const std::set<net::IpAddress>& addresses) {
  std::vector<netlink::Message> messages;
  auto next = addresses.begin();
  while (next != addresses.end()) {
    const NftSet part = MakeSet(set);
    for (size_t i = 0; i < kAddressesPerMessage && next != addresses.end(); ++i, ++next) {
      AddElement(part, *next);
    }
    messages.push_back(ElementMessage(part, change));
  }
  return messages;
}

Result<std::set<net::IpAddress>> ReadAddresses(const AddressSet& set) {
  const NftSet asked = MakeSet(set);
  auto messages = redirect::DumpNft(NFT_MSG_GETSETELEM, [&](nlmsghdr* header) {
    nftnl_set_nlmsg_build_payload(header, asked.get());
  });
  std::set<net::IpAddress> addresses;
  if (!messages && messages.error().code() == ErrorCode::kNotFound) return addresses;
  if (!messages) return Fail(messages.error().Wrap(std::string("read set ") + set.name));
  for (const Bytes& message : *messages) {
    const NftSet part = redirect::NewSet();
    const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
    if (nftnl_set_elems_nlmsg_parse(header, part.get()) < 0) continue;
    nftnl_set_elem_foreach(part.get(), TakeElement, &addresses);
  }
  return addresses;
}

}  // namespace ambit::probes
