#pragma once

#include <string>
#include <variant>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/packet.h"

// Purpose  the packets of ZDS, tunnel side: bytes to values and back.
// Threads  values.
// Source   proto/zds.proto; docs/zds.md.
namespace ambit::zds {

struct Pod {
  std::string uid;
  std::string name;
  std::string ns;
  std::string service_account;
  bool operator==(const Pod&) const = default;
};

struct AddPod {
  Pod pod;
  UniqueFd netns;
};
struct KeepPod {
  std::string uid;
};
struct DeletePod {
  std::string uid;
};
struct SnapshotSent {};

using Message = std::variant<AddPod, KeepPod, DeletePod, SnapshotSent>;

// Errors  kProtocol: cut off, does not decode, says nothing, an Add without pod or without exactly
//         one descriptor, any other message with one.
Result<Message> Decode(net::Packet packet);

Bytes EncodeHello();
// An empty error is success.
Bytes EncodeAck(const std::string& error);

}  // namespace ambit::zds
