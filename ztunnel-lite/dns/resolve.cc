#include "ztunnel-lite/dns/resolve.h"

#include <algorithm>

#include "ztunnel-lite/dns/names.h"

namespace ambit::dns {
namespace {

using Kind = Resolution::Kind;
using EndpointView = state::MeshState::EndpointView;

// One question while the state is locked.
class Search {
 public:
  Search(const Client& client, net::Family family, const state::MeshState::NameView& names)
      : client_(client), client_ns_(client.ns), family_(family), names_(names) {}

  // The first alias that means anything decides.
  Resolution Try(const std::vector<Alias>& aliases) {
    for (const auto& alias : aliases) {
      if (TryService(alias) || TryPod(alias) || TryWildcards(alias)) return std::move(found_);
    }
    return {};
  }

 private:
  state::ServicePtr Find(std::string_view name,
                         const std::function<bool(const state::Service&)>& accept) const {
    auto service = names_.Find(name, client_ns_, accept);
    if (!service || client_.preferred_ns.empty() || service->ns == client_ns_ ||
        service->canonical) {
      return service;
    }
    auto preferred = names_.Find(
        name, client_ns_, [&](const auto& s) { return s.ns == client_.preferred_ns && accept(s); });
    return preferred ? preferred : service;
  }

  bool TryService(const Alias& alias) {
    auto service = Find(alias.name, [this](const auto& s) { return HasVip(s) || IsHeadless(s); });
    if (!service) return false;
    if (!HasVip(*service)) return AnswerHeadless(alias, *service);
    AnswerVips(alias.stripped, *service);
    return true;
  }

  // A pod of a headless service, by its own name. The mesh does not know hostnames that pods give
  // themselves: those are left to the cluster's resolver.
  bool TryPod(const Alias& alias) {
    auto [pod, service_name] = SplitPodName(alias.name, client_.cluster_domain);
    if (pod.empty()) return false;
    auto service = Find(service_name, [this](const auto& s) { return IsHeadless(s); });
    if (!service) return false;
    std::vector<const state::Workload*> meant;
    for (const auto& endpoint : names_.Endpoints(*service)) {
      if (endpoint.workload->name == pod && IsUsable(endpoint, *service)) {
        meant.push_back(endpoint.workload.get());
      }
    }
    if (meant.empty()) return false;
    AnswerWorkloads(alias.stripped, *service, meant);
    return true;
  }

  bool TryWildcards(const Alias& alias) {
    Wildcards wildcards(alias.name);
    for (auto name = wildcards.Next(); !name.empty(); name = wildcards.Next()) {
      auto service = Find(name, [this](const auto& s) { return HasVip(s); });
      if (!service) continue;
      AnswerVips({}, *service);
      return true;
    }
    return false;
  }

  // An address of another network cannot be told from one of ours by those who connect to it, so it
  // is no address for this client.
  bool HasVip(const state::Service& service) const {
    return std::ranges::any_of(service.vips,
                               [this](const auto& vip) { return vip.network == client_.network; });
  }
  bool IsHeadless(const state::Service& service) const {
    return service.vips.empty() && IsClusterService(service.hostname, client_.cluster_domain);
  }
  static bool IsUsable(const EndpointView& endpoint, const state::Service& service) {
    return endpoint.workload->healthy || service.allow_unhealthy;
  }
  bool IsOffered(const state::Service& service) const {
    using state::IpFamilies;
    if (family_ == net::Family::kIpv4) return service.ip_families != IpFamilies::kIpv6Only;
    return client_.ipv6 && service.ip_families != IpFamilies::kIpv4Only;
  }

  void AnswerVips(const std::string& alias, const state::Service& service) {
    found_ = {.kind = Kind::kNoData, .alias = alias};
    if (!IsOffered(service)) return;
    for (const auto& vip : service.vips) {
      if (vip.network == client_.network) Add(vip.address);
    }
  }

  // Without endpoints it may be one whose addresses the control plane does not know.
  bool AnswerHeadless(const Alias& alias, const state::Service& service) {
    std::vector<const state::Workload*> usable;
    for (const auto& endpoint : names_.Endpoints(service)) {
      if (IsUsable(endpoint, service)) usable.push_back(endpoint.workload.get());
    }
    if (usable.empty()) {
      found_ = {};
    } else {
      AnswerWorkloads(alias.stripped, service, usable);
    }
    return true;
  }

  void AnswerWorkloads(const std::string& alias, const state::Service& service,
                       const std::vector<const state::Workload*>& workloads) {
    found_ = {.kind = Kind::kNoData, .alias = alias};
    if (!IsOffered(service)) return;
    for (const auto* workload : workloads) {
      if (workload->network != client_.network) continue;
      auto address = std::ranges::find(workload->addresses, family_, &net::IpAddress::family);
      if (address != workload->addresses.end()) Add(*address);
    }
  }

  void Add(const net::IpAddress& address) {
    if (address.family() != family_) return;
    found_.kind = Kind::kAddresses;
    found_.addresses.push_back(address);
  }

  const Client& client_;
  const std::string client_ns_;
  const net::Family family_;
  const state::MeshState::NameView& names_;
  Resolution found_;
};

}  // namespace

Resolution Resolve(std::string_view name, net::Family family, const Client& client,
                   const state::MeshState& mesh) {
  Resolution resolution;
  if (name.empty()) return resolution;
  auto aliases = AliasesOf(name, client.ns, client.cluster_domain, client.search);
  mesh.VisitNames([&](const state::MeshState::NameView& names) {
    resolution = Search(client, family, names).Try(aliases);
  });
  std::ranges::sort(resolution.addresses);
  auto repeated = std::ranges::unique(resolution.addresses);
  resolution.addresses.erase(repeated.begin(), repeated.end());
  return resolution;
}

}  // namespace ambit::dns
