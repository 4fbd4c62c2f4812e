#include "node-agent/redirect/chain_text.h"

#include <libnftnl/chain.h>
#include <linux/netfilter.h>

#include <array>
#include <string_view>

namespace ambit::redirect {
namespace {

constexpr std::array<std::string_view, 5> kHooks = {"prerouting", "input", "forward", "output",
                                                    "postrouting"};

}  // namespace

std::string ChainText(const NftChain& chain) {
  if (!nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM)) return "no hook";
  const uint32_t hook = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM);
  const char* type = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE);
  std::string text = "type " + std::string(type == nullptr ? "?" : type) + " hook ";
  text += hook < kHooks.size() ? std::string(kHooks[hook]) : std::to_string(hook);
  const auto priority = nftnl_chain_get_s32(chain.get(), NFTNL_CHAIN_PRIO);
  text += " priority " + std::to_string(priority) + "; policy ";
  return text +
         (nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_ACCEPT ? "accept;" : "drop;");
}

}  // namespace ambit::redirect
