#include "ztunnel-lite/dns/names.h"

#include <algorithm>

namespace ambit::dns {
namespace {

std::string Join(std::initializer_list<std::string_view> labels) {
  std::string joined;
  for (auto label : labels) {
    if (!joined.empty()) joined += '.';
    joined += label;
  }
  return joined;
}

class AliasList {
 public:
  AliasList(std::string_view ns, std::string_view cluster_domain)
      : ns_(ns), cluster_domain_(cluster_domain) {}

  void Add(std::string name, std::string_view stripped) {
    auto same = [&](const Alias& alias) { return alias.name == name; };
    if (std::ranges::any_of(aliases_, same)) return;
    aliases_.push_back({std::move(name), std::string(stripped)});
  }

  void AddExpansions(std::string_view name, std::string_view stripped) {
    const auto labels = std::ranges::count(name, '.') + 1;
    const bool ends_in_svc = name.ends_with(".svc");
    if (labels == 1) Add(Join({name, ns_, "svc", cluster_domain_}), stripped);
    if (labels == 2) {
      Add(Join({name, "svc", cluster_domain_}), stripped);
      Add(Join({name, ns_, "svc", cluster_domain_}), stripped);
    }
    if ((labels == 3 || labels == 4) && ends_in_svc) Add(Join({name, cluster_domain_}), stripped);
    if (labels == 3) Add(Join({name, "svc", cluster_domain_}), stripped);
  }

  std::vector<Alias> Take() { return std::move(aliases_); }

 private:
  std::string_view ns_;
  std::string_view cluster_domain_;
  std::vector<Alias> aliases_;
};

// Empty where `name` does not end in the domain or is nothing but it.
std::string_view WithoutDomain(std::string_view name, std::string_view domain) {
  if (name.size() <= domain.size() + 1 || !name.ends_with(domain)) return {};
  name.remove_suffix(domain.size());
  if (name.back() != '.') return {};
  name.remove_suffix(1);
  return name;
}

}  // namespace

std::vector<Alias> AliasesOf(std::string_view name, std::string_view ns,
                             std::string_view cluster_domain, std::span<const std::string> search) {
  AliasList list(ns, cluster_domain);
  list.Add(std::string(name), {});
  list.AddExpansions(name, {});
  const std::string of_pod[] = {Join({ns, "svc", cluster_domain}), Join({"svc", cluster_domain}),
                                std::string(cluster_domain)};
  for (const auto& domain : search.empty() ? std::span(of_pod) : search) {
    auto stripped = WithoutDomain(name, domain);
    if (stripped.empty()) continue;
    list.Add(std::string(stripped), stripped);
    list.AddExpansions(stripped, stripped);
  }
  return list.Take();
}

bool IsClusterService(std::string_view name, std::string_view cluster_domain) {
  return WithoutDomain(name, cluster_domain).ends_with(".svc");
}

PodName SplitPodName(std::string_view name, std::string_view cluster_domain) {
  auto inside = WithoutDomain(name, cluster_domain);
  if (!inside.ends_with(".svc") || std::ranges::count(inside, '.') != 3) return {};
  const size_t dot = name.find('.');
  return {name.substr(0, dot), name.substr(dot + 1)};
}

std::string_view Wildcards::Next() {
  const size_t dot = buffer_.find('.', dot_ == 0 ? 0 : dot_ + 1);
  if (dot == std::string::npos || dot == 0) return {};
  dot_ = dot;
  // The label in front of the suffix is not needed any more: its last place takes the asterisk.
  buffer_[dot - 1] = '*';
  return std::string_view(buffer_).substr(dot - 1);
}

}  // namespace ambit::dns
