#pragma once

#include <memory>

struct nftnl_chain;
struct nftnl_rule;
struct nftnl_set;
struct nftnl_table;

// Purpose  owners of libnftnl's objects; allocation failure ends the process, as for any `new`.
namespace ambit::redirect {

struct NftFree {
  void operator()(nftnl_chain* chain) const;
  void operator()(nftnl_rule* rule) const;
  void operator()(nftnl_set* set) const;
  void operator()(nftnl_table* table) const;
};

using NftChain = std::unique_ptr<nftnl_chain, NftFree>;
using NftRule = std::unique_ptr<nftnl_rule, NftFree>;
using NftSet = std::unique_ptr<nftnl_set, NftFree>;
using NftTable = std::unique_ptr<nftnl_table, NftFree>;

NftChain NewChain();
NftRule NewRule();
NftSet NewSet();
NftTable NewTable();

}  // namespace ambit::redirect
