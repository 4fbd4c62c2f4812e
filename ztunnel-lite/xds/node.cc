#include "ztunnel-lite/xds/node.h"

#include <google/protobuf/util/json_util.h>

namespace ambit::xds {

Result<envoy::service::discovery::v3::Node> MakeNode(const config::Config& config) {
  envoy::service::discovery::v3::Node node;
  std::string ip = config.instance_ip.empty() ? "1.1.1.1" : config.instance_ip;
  node.set_id("ztunnel~" + ip + "~" + config.pod_name + "." + config.pod_namespace + "~" +
              config.pod_namespace + ".svc.cluster.local");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["NAME"].set_string_value(config.pod_name);
  fields["NAMESPACE"].set_string_value(config.pod_namespace);
  fields["INSTANCE_IPS"].set_string_value(ip);
  fields["NODE_NAME"].set_string_value(config.node_name);
  for (const auto& [name, value] : config.proxy_metadata) fields[name].set_string_value(value);
  for (const auto& [name, text] : config.proxy_metadata_json) {
    google::protobuf::Value value;
    auto parsed = google::protobuf::util::JsonStringToMessage(text, &value);
    if (!parsed.ok()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "environment variable ISTIO_METAJSON_" + name + "=\"" + text + "\": is not JSON");
    }
    fields[name] = std::move(value);
  }
  return node;
}

}  // namespace ambit::xds
