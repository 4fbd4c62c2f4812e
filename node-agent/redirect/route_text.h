#pragma once

#include <optional>
#include <string>

struct nlmsghdr;

namespace ambit::redirect {

// "ip -4 rule add …" for RTM_NEWRULE, RTM_DELRULE, RTM_NEWROUTE, RTM_DELROUTE and RTM_NEWLINK;
// nullopt for any other type.
std::optional<std::string> RouteMessageText(const nlmsghdr* header);

// What a rule or route is, the same for a request and for an entry of a dump:
// "IPv4 rule fwmark 0x111/0xfff lookup 100 pref 32764". Protocol, scope and metric are left out.
std::optional<std::string> RouteObjectText(const nlmsghdr* header);

}  // namespace ambit::redirect
