#include "node-agent/redirect/routing.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "node-agent/redirect/describe.h"
#include "node-agent/redirect/redirect.h"

namespace ambit::redirect {
namespace {

constexpr uint32_t kRouteTable = 100;
constexpr uint32_t kRulePriority = 32764;
constexpr int kLoopbackIndex = 1;  // in every network namespace

// What a kernel without IPv6 says (ipv6.disable=1: no handler, no address family) and what one says
// whose lo has it switched off (disable_ipv6=1: routes only).
constexpr std::array kNoIpv6 = {EAFNOSUPPORT, EOPNOTSUPP, EACCES};

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using NlMessage = std::unique_ptr<nl_msg, Freer<nlmsg_free>>;
using NlAddress = std::unique_ptr<nl_addr, Freer<nl_addr_put>>;
using NlRule = std::unique_ptr<rtnl_rule, Freer<rtnl_rule_put>>;
using NlRoute = std::unique_ptr<rtnl_route, Freer<rtnl_route_put>>;

netlink::Message Named(const nlmsghdr* header, std::vector<int> tolerated) {
  netlink::Message message{.name = {}, .bytes = {}, .tolerated = std::move(tolerated)};
  const auto* first = reinterpret_cast<const std::byte*>(header);
  message.bytes.assign(first, first + header->nlmsg_len);
  message.name = DescribeMessage(NETLINK_ROUTE, message.bytes);
  return message;
}

// Takes what a libnl-route builder made; only lack of memory makes one fail for our fixed input.
netlink::Message Take(int built, nl_msg* made, std::vector<int> tolerated) {
  const NlMessage owner(made);
  if (built != 0) std::abort();
  nlmsghdr* header = nlmsg_hdr(made);
  header->nlmsg_flags |= NLM_F_REQUEST;  // libnl adds it only when it sends
  return Named(header, std::move(tolerated));
}

NlRule MakeRule(int family) {
  NlRule rule(rtnl_rule_alloc());
  if (!rule) std::abort();
  rtnl_rule_set_family(rule.get(), family);
  rtnl_rule_set_prio(rule.get(), kRulePriority);
  rtnl_rule_set_mark(rule.get(), kReplyMark);
  rtnl_rule_set_mask(rule.get(), kMarkMask);
  rtnl_rule_set_table(rule.get(), kRouteTable);
  rtnl_rule_set_action(rule.get(), FR_ACT_TO_TBL);
  return rule;
}

NlRoute MakeRoute(int family) {
  NlRoute route(rtnl_route_alloc());
  nl_addr* everything = nullptr;
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  if (!route || hop == nullptr || nl_addr_parse("default", family, &everything) != 0) std::abort();
  const NlAddress owner(everything);
  rtnl_route_set_family(route.get(), static_cast<uint8_t>(family));
  rtnl_route_set_dst(route.get(), everything);
  rtnl_route_set_type(route.get(), RTN_LOCAL);
  rtnl_route_set_scope(route.get(), RT_SCOPE_HOST);
  rtnl_route_set_table(route.get(), kRouteTable);
  rtnl_route_nh_set_ifindex(hop, kLoopbackIndex);
  rtnl_route_add_nexthop(route.get(), hop);
  return route;
}

netlink::Message LoopbackUp() {
  alignas(nlmsghdr) char buffer[256];
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = NLM_F_REQUEST;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  link->ifi_index = kLoopbackIndex;
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  return Named(header, {});
}

std::vector<int> Tolerate(std::vector<int> errors, int family) {
  if (family == AF_INET6) errors.insert(errors.end(), kNoIpv6.begin(), kNoIpv6.end());
  return errors;
}

void Add(int family, std::vector<netlink::Message>& messages) {
  nl_msg* message = nullptr;
  // Without EXCL the kernel would add the same rule a second time.
  int built =
      rtnl_rule_build_add_request(MakeRule(family).get(), NLM_F_CREATE | NLM_F_EXCL, &message);
  messages.push_back(Take(built, message, Tolerate({EEXIST}, family)));
  message = nullptr;
  built =
      rtnl_route_build_add_request(MakeRoute(family).get(), NLM_F_CREATE | NLM_F_REPLACE, &message);
  messages.push_back(Take(built, message, Tolerate({}, family)));
}

void Remove(int family, std::vector<netlink::Message>& messages) {
  nl_msg* message = nullptr;
  int built = rtnl_rule_build_delete_request(MakeRule(family).get(), 0, &message);
  messages.push_back(Take(built, message, Tolerate({ENOENT}, family)));
  message = nullptr;
  built = rtnl_route_build_del_request(MakeRoute(family).get(), 0, &message);
  messages.push_back(Take(built, message, Tolerate({ESRCH, ENOENT}, family)));
}

}  // namespace

netlink::Transaction AddRouting(bool ipv6) {
  netlink::Transaction transaction{.family = NETLINK_ROUTE, .messages = {}};
  transaction.messages.push_back(LoopbackUp());
  Add(AF_INET, transaction.messages);
  if (ipv6) {
    Add(AF_INET6, transaction.messages);
  } else {
    Remove(AF_INET6, transaction.messages);
  }
  return transaction;
}

netlink::Transaction RemoveRouting() {
  netlink::Transaction transaction{.family = NETLINK_ROUTE, .messages = {}};
  Remove(AF_INET, transaction.messages);
  Remove(AF_INET6, transaction.messages);
  return transaction;
}

}  // namespace ambit::redirect
