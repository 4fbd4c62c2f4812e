#include "ztunnel-lite/zds/message.h"

#include "proto/zds.pb.h"

namespace ambit::zds {

namespace pb = istio::workload::zds;

namespace {

// The agent reads answers with 1024 bytes.
constexpr size_t kMaxErrorBytes = 900;

std::unexpected<Error> Bad(const std::string& why) {
  return Fail(ErrorCode::kProtocol, "ZDS message " + why);
}

Bytes ToBytes(const std::string& text) {
  ByteSpan bytes = AsBytes(text);
  return {bytes.begin(), bytes.end()};
}

Result<Message> DecodeAdd(const pb::AddWorkload& message, std::vector<UniqueFd> fds) {
  if (fds.size() != 1) {
    return Bad("AddWorkload came with " + std::to_string(fds.size()) +
               " descriptors; the pod's network namespace is needed");
  }
  if (message.uid().empty()) return Bad("AddWorkload has no uid");
  if (!message.has_workload_info()) return Bad("AddWorkload has no workload_info");
  const auto& info = message.workload_info();
  return AddPod{{message.uid(), info.name(), info.namespace_(), info.service_account()},
                std::move(fds.front())};
}

}  // namespace

Result<Message> Decode(net::Packet packet) {
  if (packet.truncated) return Bad("was cut off");
  pb::WorkloadRequest request;
  std::string_view text = AsText(packet.bytes);
  if (!request.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
    return Bad("does not decode");
  }
  if (request.has_add()) return DecodeAdd(request.add(), std::move(packet.fds));
  if (!packet.fds.empty()) return Bad("carries a descriptor and is no AddWorkload");
  if (request.has_keep()) return KeepPod{request.keep().uid()};
  if (request.has_del()) return DeletePod{request.del().uid()};
  if (request.has_snapshot_sent()) return SnapshotSent{};
  return Bad("says nothing");
}

Bytes EncodeHello() {
  pb::ZdsHello hello;
  hello.set_version(pb::V1);
  return ToBytes(hello.SerializeAsString());
}

Bytes EncodeAck(const std::string& error) {
  pb::WorkloadResponse response;
  response.mutable_ack()->set_error(error.substr(0, kMaxErrorBytes));
  return ToBytes(response.SerializeAsString());
}

}  // namespace ambit::zds
