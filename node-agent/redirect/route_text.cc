#include "node-agent/redirect/route_text.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>

#include <map>
#include <string_view>

#include "lib/net/address.h"

namespace ambit::redirect {
namespace {

using Attributes = std::map<uint16_t, const nlattr*>;

int Collect(const nlattr* attribute, void* data) {
  (*static_cast<Attributes*>(data))[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}

Attributes ReadAttributes(const nlmsghdr* header, size_t offset) {
  Attributes attributes;
  mnl_attr_parse(header, static_cast<unsigned>(offset), Collect, &attributes);
  return attributes;
}

std::optional<uint32_t> Number(const Attributes& attributes, uint16_t type) {
  const auto found = attributes.find(type);
  if (found == attributes.end() || mnl_attr_validate(found->second, MNL_TYPE_U32) < 0) {
    return std::nullopt;
  }
  return mnl_attr_get_u32(found->second);
}

std::string Hex(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", value);
  return text;
}

std::string Prefix(const Attributes& attributes, uint16_t type, uint8_t length) {
  const auto found = attributes.find(type);
  if (found == attributes.end()) return length == 0 ? "default" : "?";
  const auto* first = static_cast<const std::byte*>(mnl_attr_get_payload(found->second));
  auto address = net::IpAddress::FromBytes({first, mnl_attr_get_payload_len(found->second)});
  return (address ? address->ToString() : "?") + "/" + std::to_string(length);
}

const fib_rule_hdr& RuleHeader(const nlmsghdr* header) {
  return *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(header));
}
const rtmsg& RouteHeader(const nlmsghdr* header) {
  return *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
}

std::string RuleWords(const nlmsghdr* header) {
  const fib_rule_hdr& rule = RuleHeader(header);
  const Attributes attributes = ReadAttributes(header, sizeof(rule));
  std::string text;
  if (rule.flags & FIB_RULE_INVERT) text += "not ";
  if (rule.src_len != 0) text += "from " + Prefix(attributes, FRA_SRC, rule.src_len) + " ";
  if (rule.dst_len != 0) text += "to " + Prefix(attributes, FRA_DST, rule.dst_len) + " ";
  if (attributes.contains(FRA_IIFNAME)) text += "iif ";
  if (attributes.contains(FRA_OIFNAME)) text += "oif ";
  if (auto mark = Number(attributes, FRA_FWMARK)) {
    text += "fwmark " + Hex(*mark) + "/" + Hex(Number(attributes, FRA_FWMASK).value_or(~0U)) + " ";
  }
  if (rule.action != FR_ACT_TO_TBL) text += "action " + std::to_string(rule.action) + " ";
  text += "lookup " + std::to_string(Number(attributes, FRA_TABLE).value_or(rule.table));
  return text + " pref " + std::to_string(Number(attributes, FRA_PRIORITY).value_or(0));
}

std::string RouteWords(const nlmsghdr* header) {
  const rtmsg& route = RouteHeader(header);
  const Attributes attributes = ReadAttributes(header, sizeof(route));
  std::string text = route.rtm_type == RTN_LOCAL ? "local " : "";
  if (route.rtm_type != RTN_LOCAL && route.rtm_type != RTN_UNICAST) {
    text = "type " + std::to_string(route.rtm_type) + " ";
  }
  text += Prefix(attributes, RTA_DST, route.rtm_dst_len);
  if (attributes.contains(RTA_GATEWAY)) text += " via " + Prefix(attributes, RTA_GATEWAY, 0);
  const uint32_t device = Number(attributes, RTA_OIF).value_or(0);
  text += device == 1 ? " dev lo" : " dev index " + std::to_string(device);
  return text + " table " + std::to_string(Number(attributes, RTA_TABLE).value_or(route.rtm_table));
}

std::string FamilyDigit(uint8_t family) {
  if (family == AF_INET) return "4";
  return family == AF_INET6 ? "6" : "?";
}

bool IsRule(const nlmsghdr* header) {
  return (header->nlmsg_type == RTM_NEWRULE || header->nlmsg_type == RTM_DELRULE) &&
         mnl_nlmsg_get_payload_len(header) >= sizeof(fib_rule_hdr);
}
bool IsRoute(const nlmsghdr* header) {
  return (header->nlmsg_type == RTM_NEWROUTE || header->nlmsg_type == RTM_DELROUTE) &&
         mnl_nlmsg_get_payload_len(header) >= sizeof(rtmsg);
}

std::optional<std::string> LinkText(const nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(header) < sizeof(ifinfomsg)) {
    return std::nullopt;
  }
  const auto& link = *static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(header));
  const std::string name = link.ifi_index == 1 ? "lo" : "index " + std::to_string(link.ifi_index);
  return "ip link set " + name + ((link.ifi_flags & IFF_UP) != 0 ? " up" : " down");
}

}  // namespace

std::optional<std::string> RouteMessageText(const nlmsghdr* header) {
  if (IsRule(header)) {
    const std::string family = FamilyDigit(RuleHeader(header).family);
    const bool add = header->nlmsg_type == RTM_NEWRULE;
    return "ip -" + family + (add ? " rule add " : " rule delete ") + RuleWords(header);
  }
  if (IsRoute(header)) {
    const std::string family = FamilyDigit(RouteHeader(header).rtm_family);
    const bool add = header->nlmsg_type == RTM_NEWROUTE;
    return "ip -" + family + (add ? " route replace " : " route delete ") + RouteWords(header);
  }
  return LinkText(header);
}

std::optional<std::string> RouteObjectText(const nlmsghdr* header) {
  if (IsRule(header)) {
    const std::string family = FamilyDigit(RuleHeader(header).family);
    return "IPv" + family + " rule " + RuleWords(header);
  }
  if (IsRoute(header)) {
    const std::string family = FamilyDigit(RouteHeader(header).rtm_family);
    return "IPv" + family + " route " + RouteWords(header);
  }
  return std::nullopt;
}

}  // namespace ambit::redirect
