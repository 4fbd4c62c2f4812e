#pragma once

#include <string>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

// Purpose  ZDS messages as bytes: the agent's requests, the tunnel's hello and acknowledgements.
// Threads  pure functions.
// Source   proto/zds.proto; docs/zds.md.
namespace ambit::zds {

// Both sides of Istio read into a buffer of this size; a larger packet would be cut off.
inline constexpr size_t kMaxMessageBytes = 1024;

// Who a pod is, in the words of its certificate.
struct WorkloadIdentity {
  std::string name;
  std::string namespace_name;
  std::string service_account;
  bool operator==(const WorkloadIdentity&) const = default;
};

// Errors  kInvalidArgument: the names do not fit into one message.
Result<Bytes> EncodeAdd(const std::string& uid, const WorkloadIdentity& identity);
Result<Bytes> EncodeKeep(const std::string& uid);
Result<Bytes> EncodeDelete(const std::string& uid);
Bytes EncodeSnapshotSent();

// Errors  kProtocol: not a hello. Any version number is accepted: only one exists, and every later
//         one has to understand it.
Result<void> DecodeHello(ByteSpan bytes);

// The tunnel's refusal, empty when it acknowledged. Errors  kProtocol: not a response with an ack.
Result<std::string> DecodeAck(ByteSpan bytes);

}  // namespace ambit::zds
