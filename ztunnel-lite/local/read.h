#pragma once

#include "ztunnel-lite/local/fields.h"
#include "ztunnel-lite/state/resources.h"

// Purpose  one resource of the file each. What is wrong is reported; the value is of use only if
//          the report stays empty.
namespace ambit::local {

state::Workload ReadWorkload(const YamlValue& value, Report& report);
state::Policy ReadPolicy(const YamlValue& value, Report& report);

// A service may list endpoints, which belong to workloads.
struct ServiceEndpoints {
  state::Service service;
  struct Endpoint {
    const YamlValue* at;
    std::string workload_uid;
    state::PortMap ports;
    std::optional<bool> healthy;
  };
  std::vector<Endpoint> endpoints;
};
ServiceEndpoints ReadService(const YamlValue& value, Report& report);

// Shared by workloads and services.
state::PortMap ReadPorts(const YamlValue& value, Report& report);
state::NetworkAddress ReadNetworkAddress(const YamlValue& value, Report& report);
std::optional<state::GatewayAddress> ReadGateway(const YamlValue* value, Report& report);

}  // namespace ambit::local
