#pragma once

#include <string>
#include <utility>

#include "ztunnel-lite/proxy/route.h"

// Purpose  a small mesh and a chosen draw, for the tests of routes and balancing.
namespace ambit::proxy {

inline net::IpAddress Ip(const std::string& text) { return net::IpAddress::Parse(text).value(); }
inline net::Endpoint At(const std::string& text) { return net::Endpoint::Parse(text).value(); }

class FixedRandom : public Random {
 public:
  uint64_t Below(uint64_t bound) override { return draw % bound; }
  uint64_t draw = 0;
};

inline state::Workload MakePod(const std::string& name, const std::string& ip) {
  state::Workload pod;
  pod.uid = "Kubernetes//Pod/default/" + name;
  pod.name = name;
  pod.ns = "default";
  pod.service_account = name;
  pod.tunnel_protocol = state::TunnelProtocol::kHbone;
  if (!ip.empty()) pod.addresses = {Ip(ip)};
  return pod;
}

inline state::Service MakeService(const std::string& name, const std::string& vip,
                                  state::PortMap ports = {{80, 8080}}) {
  state::Service service;
  service.name = name;
  service.ns = "default";
  service.hostname = name + ".default.svc.cluster.local";
  if (!vip.empty()) service.vips = {{"", Ip(vip)}};
  service.ports = std::move(ports);
  return service;
}

inline std::string SpiffeOf(const std::string& service_account) {
  return "spiffe://cluster.local/ns/default/sa/" + service_account;
}

struct TestMesh {
  TestMesh() { Add(source); }

  void Add(state::Workload workload) {
    mesh.Upsert(std::make_shared<const state::Workload>(std::move(workload)));
  }
  void Add(state::Workload workload, const state::Service& service, state::PortMap ports = {}) {
    workload.services[service.Key()] = std::move(ports);
    Add(std::move(workload));
  }
  void Add(state::Service service) {
    mesh.Upsert(std::make_shared<const state::Service>(std::move(service)));
  }
  Result<OutboundRoute> Route(const std::string& destination) {
    OutboundRequest request{std::make_shared<const state::Workload>(source),
                            "",
                            At("10.0.0.1:40000"),
                            At(destination),
                            {}};
    return RouteOutbound(mesh, request, random);
  }

  state::MeshState mesh;
  state::Workload source = MakePod("client", "10.0.0.1");
  FixedRandom random;
};

}  // namespace ambit::proxy
