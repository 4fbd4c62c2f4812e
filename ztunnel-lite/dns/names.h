#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

// Purpose  which names a client means by the name it asks for: what resolv.conf's search list and
//          Kubernetes' short forms make of it. Pure.
// Names are lower case and without the dot at the end.
namespace ambit::dns {

struct Alias {
  std::string name;
  // What is left of the question without its search domain, where this alias came from that; the
  // answer then leads there by a CNAME. Empty: the question itself.
  std::string stripped{};
  bool operator==(const Alias&) const = default;
};

// In the order in which they are tried, without duplicates: the name itself; the service that its
// one to four labels may be short for; the same for the name without a search domain. Where
// `search` is empty those are a pod's in `ns`: <ns>.svc.<cluster_domain>, svc.<cluster_domain>,
// <cluster_domain>.
std::vector<Alias> AliasesOf(std::string_view name, std::string_view ns,
                             std::string_view cluster_domain,
                             std::span<const std::string> search = {});

// Whether it is a name of the cluster's services: "….svc.<cluster_domain>".
bool IsClusterService(std::string_view name, std::string_view cluster_domain);

// "pod.service.ns.svc.<cluster_domain>" taken apart; empty where the name is none.
struct PodName {
  std::string_view pod;
  std::string_view service;  // with namespace and domain
};
PodName SplitPodName(std::string_view name, std::string_view cluster_domain);

// The wildcards that cover a name, the most specific first: "*.b.c" and "*.c" for "a.b.c".
class Wildcards {
 public:
  explicit Wildcards(std::string name) : buffer_(std::move(name)) {}
  // Valid until the next call; empty at the end.
  std::string_view Next();

 private:
  std::string buffer_;
  size_t dot_ = 0;  // the one before the suffix that came last
};

}  // namespace ambit::dns
