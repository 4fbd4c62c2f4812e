#include "node-agent/redirect/nft_object.h"

#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include <cstdlib>

namespace ambit::redirect {
namespace {

template <typename T>
T* OrAbort(T* object) {
  if (object == nullptr) std::abort();
  return object;
}

}  // namespace

void NftFree::operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
void NftFree::operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
void NftFree::operator()(nftnl_set* set) const { nftnl_set_free(set); }
void NftFree::operator()(nftnl_table* table) const { nftnl_table_free(table); }

NftChain NewChain() { return NftChain(OrAbort(nftnl_chain_alloc())); }
NftRule NewRule() { return NftRule(OrAbort(nftnl_rule_alloc())); }
NftSet NewSet() { return NftSet(OrAbort(nftnl_set_alloc())); }
NftTable NewTable() { return NftTable(OrAbort(nftnl_table_alloc())); }

}  // namespace ambit::redirect
