#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

// Purpose  a netlink program: finished netlink messages with the answers to expect, as a value that
//          one process builds and another runs. See docs/netlink-program.md.
// Threads  values; Run() blocks the calling thread and works in its network namespace.
// Errors   kInvalidArgument (a program that does not decode or breaks a bound), kPermissionDenied
//          (CAP_NET_ADMIN), kTimedOut, kIo with the errno of the refused message, its name and the
//          kernel's own explanation where it gives one.
// Source   RFC 3549, netlink(7), nfnetlink batches: linux/netfilter/nfnetlink.h.
namespace ambit::netlink {

// One message as it goes to the kernel, nlmsghdr first; sequence number, port id and the request
// for an acknowledgement (NLM_F_ACK) are set by the executor.
struct Message {
  std::string name;  // for people: "add table inet ambit"
  Bytes bytes;
  // Errno values that count as success besides 0, e.g. EEXIST when adding a rule that may be there.
  // In an nfnetlink batch the kernel still refuses the whole batch then, so they make sense only
  // where the batch has nothing else to do.
  std::vector<int> tolerated{};
  // False inside an nfnetlink batch for BATCH_BEGIN and BATCH_END, which the kernel does not
  // acknowledge.
  bool acknowledged = true;
  bool operator==(const Message&) const;
};

// Messages that go to one netlink family in one send, in order. A batch of NETLINK_NETFILTER is all
// or nothing by the kernel's own rule; of NETLINK_ROUTE each message stands alone.
struct Transaction {
  int family = 0;  // NETLINK_NETFILTER or NETLINK_ROUTE
  std::vector<Message> messages{};
  bool operator==(const Transaction&) const;
};

struct Program {
  std::vector<Transaction> transactions;
  bool operator==(const Program&) const;
};

// {"transactions":[{"family":12,"messages":[{"name":"…","bytes":"<base64>","tolerated":[17],
//  "acknowledged":true}]}]}; `tolerated` and `acknowledged` are left out at their defaults.
std::string ToJson(const Program& program);
// Bounds: 16 transactions, 512 messages each, 64 KiB a message, 16 MiB of text; only the two
// families above; each message's header must agree with its length. Unknown keys are ignored.
Result<Program> FromJson(std::string_view text);

// The bounds above for a program made in this process; FromJson() and Run() apply them too.
Result<void> Check(const Program& program);

// Runs the transactions in order in the calling thread's network namespace; stops at the first
// error. 5 s for each answer of the kernel.
Result<void> Run(const Program& program);

}  // namespace ambit::netlink
