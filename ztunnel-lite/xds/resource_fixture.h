#pragma once

#include <string>

#include "proto/authorization.pb.h"
#include "proto/workload.pb.h"
#include "ztunnel-lite/xds/subscription.h"

// Purpose  discovery answers for tests.
namespace ambit::xds {

inline Response AnswerOf(const char* type_url, const std::string& nonce) {
  Response response;
  response.set_type_url(type_url);
  response.set_nonce(nonce);
  return response;
}

inline void AddWorkload(Response& response, const std::string& uid, const std::string& version,
                        const std::string& address = std::string("\x0a\0\0\x01", 4)) {
  istio::workload::Address message;
  message.mutable_workload()->set_uid(uid);
  message.mutable_workload()->add_addresses(address);
  auto* resource = response.add_resources();
  resource->set_name(uid);
  resource->set_version(version);
  resource->mutable_resource()->set_type_url(kAddressType);
  resource->mutable_resource()->set_value(message.SerializeAsString());
}

inline void AddPolicy(Response& response, const std::string& name) {
  istio::security::Authorization message;
  message.set_name(name);
  auto* resource = response.add_resources();
  resource->set_name("ns/" + name);
  resource->mutable_resource()->set_type_url(kAuthorizationType);
  resource->mutable_resource()->set_value(message.SerializeAsString());
}

}  // namespace ambit::xds
