#include "ztunnel-lite/xds/subscription.h"

#include "proto/authorization.pb.h"
#include "proto/workload.pb.h"
#include "ztunnel-lite/state/decode.h"

namespace ambit::xds {

namespace {

constexpr int kInvalidArgument = 3;  // google.rpc.Code

using envoy::service::discovery::v3::Resource;

template <typename Message>
Result<Message> Parse(const Resource& resource, const std::string& type_url) {
  if (resource.resource().type_url() != type_url) {
    return Fail(ErrorCode::kInvalidArgument,
                "has the type " + resource.resource().type_url() + " in an answer of " + type_url);
  }
  Message message;
  if (!message.ParseFromString(resource.resource().value())) {
    return Fail(ErrorCode::kInvalidArgument, "does not decode");
  }
  return message;
}

Result<void> TakeAddress(const Resource& resource, Update& update) {
  auto message = Parse<istio::workload::Address>(resource, kAddressType);
  if (!message) return std::unexpected(message.error());
  auto address = state::DecodeAddress(*message);
  if (!address) return std::unexpected(address.error());
  if (auto* workload = std::get_if<state::Workload>(&*address)) {
    update.upserts.emplace_back(std::make_shared<const state::Workload>(std::move(*workload)));
  } else {
    update.upserts.emplace_back(
        std::make_shared<const state::Service>(std::move(std::get<state::Service>(*address))));
  }
  return {};
}

Result<void> TakePolicy(const Resource& resource, Update& update) {
  auto message = Parse<istio::security::Authorization>(resource, kAuthorizationType);
  if (!message) return std::unexpected(message.error());
  auto policy = state::DecodePolicy(resource.name(), *message);
  if (!policy) return std::unexpected(policy.error());
  update.upserts.emplace_back(std::make_shared<const state::Policy>(std::move(*policy)));
  return {};
}

}  // namespace

void Update::ApplyTo(state::MeshState& mesh) const {
  for (const auto& upsert : upserts) {
    std::visit([&mesh](const auto& value) { mesh.Upsert(value); }, upsert);
  }
  for (const auto& name : removed_addresses) mesh.RemoveAddress(name);
  for (const auto& name : removed_policies) mesh.RemovePolicy(name);
  mesh.Commit();
}

std::vector<Request> Subscription::Open() const {
  std::vector<Request> requests;
  for (const char* type_url : {kAddressType, kAuthorizationType}) {
    Request& request = requests.emplace_back();
    *request.mutable_node() = node_;
    request.set_type_url(type_url);
    auto& versions = *request.mutable_initial_resource_versions();
    for (const auto& [name, version] : types_.at(type_url).versions) versions[name] = version;
  }
  return requests;
}

Subscription::Handled Subscription::Handle(const Response& response) {
  Handled handled;
  handled.reply.set_type_url(response.type_url());
  handled.reply.set_response_nonce(response.nonce());
  auto type = types_.find(response.type_url());
  if (type == types_.end()) return handled;  // a type of the future: acknowledged and left alone
  bool addresses = response.type_url() == kAddressType;
  for (const auto& resource : response.resources()) {
    auto taken =
        addresses ? TakeAddress(resource, handled.update) : TakePolicy(resource, handled.update);
    if (taken) {
      type->second.versions[resource.name()] = resource.version();
      continue;
    }
    if (!handled.rejected.empty()) handled.rejected += "; ";
    handled.rejected += resource.name() + ": " + taken.error().message();
  }
  auto& removed = addresses ? handled.update.removed_addresses : handled.update.removed_policies;
  for (const auto& name : response.removed_resources()) {
    removed.push_back(name);
    type->second.versions.erase(name);
  }
  if (handled.rejected.empty()) {
    type->second.synced = true;
  } else {
    handled.reply.mutable_error_detail()->set_code(kInvalidArgument);
    handled.reply.mutable_error_detail()->set_message(handled.rejected);
  }
  return handled;
}

}  // namespace ambit::xds
