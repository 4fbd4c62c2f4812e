#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "node-agent/redirect/nft_message.h"
#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/routing.h"
#include "node-agent/redirect/ruleset.h"

namespace ambit::redirect {
namespace {

constexpr std::array kIstioTables = {"istio-ambient-nat", "istio-ambient-mangle",
                                     "istio-ambient-raw"};
constexpr size_t kMaxInterfaceName = 15;  // IFNAMSIZ less the terminating zero
constexpr size_t kMaxInterfaces = 64;

bool IsKernelInterfaceName(const std::string& name) {
  if (name.empty() || name.size() > kMaxInterfaceName || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](unsigned char c) {
    return c == '\0' || c == '/' || c == ':' || std::isspace(c) != 0;
  });
}

Result<void> CheckOptions(const Options& options) {
  for (const std::string& name : options.virtual_interfaces) {
    if (!IsKernelInterfaceName(name)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "\"" + name + "\" is no name of a network interface: 1 to 15 characters, no " +
                      "white space, '/' or ':'");
    }
  }
  if (options.virtual_interfaces.size() > kMaxInterfaces) {
    return Fail(ErrorCode::kInvalidArgument, "more than 64 virtual interfaces for one pod");
  }
  if (!options.probe_v4.is_v4() || options.probe_v6.is_v4()) {
    return Fail(ErrorCode::kInvalidArgument,
                "the source addresses of probes are not one of each family: " +
                    options.probe_v4.ToString() + ", " + options.probe_v6.ToString());
  }
  return {};
}

// Chains are kept and their rules exchanged, because a chain's rules change for all packets at one
// moment. A new chain beside an old one of the same hook is not the same: a packet between the two
// could meet the new one before the change and the old one after it, and miss both. A chain that
// has no rules now is left as it is: deleting it (which means adding it first, to be sure) makes
// the kernel wait for all processors, 15 ms in place of 0.3 for a new pod.
netlink::Transaction ReplaceRules(const Options& options) {
  std::vector<netlink::Message> messages;
  messages.push_back(AddTable(kTableName));
  if (options.take_over_istio) {
    for (const char* table : kIstioTables) {
      messages.push_back(AddTable(table));  // so that deleting it cannot fail
      messages.push_back(DeleteTable(table));
    }
  }
  messages.push_back(FlushTable(kTableName));
  for (const BaseChain& chain : MakeRuleset(options)) {
    if (!chain.rules.empty()) messages.push_back(AddChain(kTableName, chain.spec));
    for (const NftRule& rule : chain.rules) messages.push_back(AddRule(rule));
  }
  return Batch(std::move(messages));
}

}  // namespace

Result<netlink::Program> PlanRedirect(const Options& options) {
  if (auto checked = CheckOptions(options); !checked) return Fail(checked.error());
  // The way back first: rules without it would mark replies that then go nowhere.
  return netlink::Program{{AddRouting(options.ipv6), ReplaceRules(options)}};
}

Result<netlink::Program> PlanRepair(const Options& options) {
  auto program = PlanRedirect(options);
  if (!program) return program;
  auto& messages = program->transactions.back().messages;
  // Behind BATCH_BEGIN and "add table".
  messages.insert(messages.begin() + 2, {DeleteTable(kTableName), AddTable(kTableName)});
  return program;
}

netlink::Program PlanUndo() {
  return {{Batch({AddTable(kTableName), DeleteTable(kTableName)}), RemoveRouting()}};
}

}  // namespace ambit::redirect
