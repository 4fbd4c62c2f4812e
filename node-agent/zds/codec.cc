#include "node-agent/zds/codec.h"

#include "proto/zds.pb.h"

namespace ambit::zds {
namespace {

namespace wire = ::istio::workload::zds;

Result<Bytes> Serialize(const wire::WorkloadRequest& request, const std::string& uid) {
  Bytes bytes(request.ByteSizeLong());
  // The reader's buffer must stay larger than the packet: a full buffer looks like a cut-off one.
  if (bytes.size() >= kMaxMessageBytes) {
    return Fail(ErrorCode::kInvalidArgument, "the ZDS message for pod uid \"" + uid.substr(0, 64) +
                                                 "\" has " + std::to_string(bytes.size()) +
                                                 " bytes; a tunnel reads at most " +
                                                 std::to_string(kMaxMessageBytes - 1));
  }
  request.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

}  // namespace

Result<Bytes> EncodeAdd(const std::string& uid, const WorkloadIdentity& identity) {
  wire::WorkloadRequest request;
  auto* add = request.mutable_add();
  add->set_uid(uid);
  auto* info = add->mutable_workload_info();
  info->set_name(identity.name);
  info->set_namespace_(identity.namespace_name);
  info->set_service_account(identity.service_account);
  return Serialize(request, uid);
}

Result<Bytes> EncodeKeep(const std::string& uid) {
  wire::WorkloadRequest request;
  request.mutable_keep()->set_uid(uid);
  return Serialize(request, uid);
}

Result<Bytes> EncodeDelete(const std::string& uid) {
  wire::WorkloadRequest request;
  request.mutable_del()->set_uid(uid);
  return Serialize(request, uid);
}

Bytes EncodeSnapshotSent() {
  wire::WorkloadRequest request;
  request.mutable_snapshot_sent();
  return Serialize(request, "").value();
}

Result<void> DecodeHello(ByteSpan bytes) {
  wire::ZdsHello hello;
  if (!hello.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kProtocol, "the first packet is not a ZDS hello");
  }
  return {};
}

Result<std::string> DecodeAck(ByteSpan bytes) {
  wire::WorkloadResponse response;
  if (!response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !response.has_ack()) {
    return Fail(ErrorCode::kProtocol, "the answer is not a ZDS acknowledgement");
  }
  return response.ack().error();
}

}  // namespace ambit::zds
