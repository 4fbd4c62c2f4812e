#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/net/address.h"

// Purpose  the fields of Kubernetes objects that the mesh uses, as values, whatever their source.
// Threads  values; published as shared_ptr<const T>.
// Source   Kubernetes API v1; missing fields have the API's defaults.
namespace ambit::k8s {

using StringMap = std::map<std::string, std::string, std::less<>>;

struct Namespace {
  std::string name;
  StringMap labels;
  StringMap annotations;
  bool operator==(const Namespace&) const = default;
};

enum class PodPhase : uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };

struct ContainerPort {
  std::string name;
  uint16_t port = 0;
  bool operator==(const ContainerPort&) const = default;
};

struct Pod {
  std::string uid;  // metadata.uid; where a manifest has none, derived from namespace and name
  std::string namespace_name;
  std::string name;
  StringMap labels;
  StringMap annotations;
  std::string service_account = "default";
  std::string node_name;
  bool host_network = false;
  std::vector<net::IpAddress> ips;  // status.podIPs, else status.podIP
  PodPhase phase = PodPhase::kPending;
  bool ready = true;                 // the Ready condition; true where a manifest has no conditions
  std::vector<ContainerPort> ports;  // of all containers
  std::string owner_kind;            // of the controlling owner reference, empty without one
  std::string owner_name;
  bool operator==(const Pod&) const = default;

  std::string Key() const { return namespace_name + "/" + name; }
  bool Terminal() const { return phase == PodPhase::kSucceeded || phase == PodPhase::kFailed; }
};

struct ServicePort {
  std::string name;
  uint16_t port = 0;
  std::variant<uint16_t, std::string> target_port = uint16_t{0};  // number or container port name
  bool operator==(const ServicePort&) const = default;
};

struct Service {
  std::string namespace_name;
  std::string name;
  StringMap labels;
  StringMap annotations;
  StringMap selector;
  std::vector<net::IpAddress> cluster_ips;  // empty: headless
  std::vector<ServicePort> ports;           // TCP only
  bool publish_not_ready_addresses = false;
  bool operator==(const Service&) const = default;

  std::string Key() const { return namespace_name + "/" + name; }
};

}  // namespace ambit::k8s
