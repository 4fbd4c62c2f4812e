#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "proto/workload.pb.h"
#include "ztunnel-lite/state/resources.h"

// Purpose  the parts that workloads, services and policies share. Errors as in decode.h.
namespace ambit::state {

std::unexpected<Error> BadField(std::string_view field, std::string_view why);
Result<net::IpAddress> DecodeIp(std::string_view field, const std::string& bytes);
// A prefix of an IPv4-mapped address becomes the IPv4 prefix it means.
Result<net::Cidr> DecodeCidr(std::string_view field, const std::string& bytes, uint32_t length);
Result<uint16_t> DecodePort(std::string_view field, uint32_t port);
Result<PortMap> DecodePorts(std::string_view field,
                            const google::protobuf::RepeatedPtrField<istio::workload::Port>& ports);
Result<GatewayAddress> DecodeGateway(std::string_view field,
                                     const istio::workload::GatewayAddress& message);

}  // namespace ambit::state
