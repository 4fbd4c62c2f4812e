#include "lib/netlink/program.h"

#include <linux/netlink.h>

#include <cstring>

namespace ambit::netlink {
namespace {

constexpr size_t kMaxTransactions = 16;
constexpr size_t kMaxMessages = 512;
constexpr size_t kMaxMessageBytes = size_t{64} * 1024;

Result<void> CheckMessage(const Message& message, const std::string& where) {
  const Bytes& bytes = message.bytes;
  if (bytes.size() > kMaxMessageBytes) {
    return Fail(ErrorCode::kInvalidArgument, where + " is longer than 64 KiB");
  }
  nlmsghdr header;
  if (bytes.size() < sizeof(header)) {
    return Fail(ErrorCode::kInvalidArgument, where + " is shorter than a netlink header");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.nlmsg_len != bytes.size()) {
    return Fail(ErrorCode::kInvalidArgument, where + " has " + std::to_string(bytes.size()) +
                                                 " bytes but its header says " +
                                                 std::to_string(header.nlmsg_len));
  }
  return {};
}

Result<void> CheckTransaction(const Transaction& transaction, const std::string& where) {
  if (transaction.family != NETLINK_NETFILTER && transaction.family != NETLINK_ROUTE) {
    return Fail(ErrorCode::kInvalidArgument, where + " is for netlink family " +
                                                 std::to_string(transaction.family) +
                                                 "; only 0 (route) and 12 (netfilter) are allowed");
  }
  if (transaction.messages.size() > kMaxMessages) {
    return Fail(ErrorCode::kInvalidArgument, where + " has more than 512 messages");
  }
  for (size_t i = 0; i < transaction.messages.size(); ++i) {
    auto checked =
        CheckMessage(transaction.messages[i], where + ", message " + std::to_string(i + 1) + " (" +
                                                  transaction.messages[i].name + "),");
    if (!checked) return checked;
  }
  return {};
}

}  // namespace

bool Message::operator==(const Message&) const = default;
bool Transaction::operator==(const Transaction&) const = default;
bool Program::operator==(const Program&) const = default;

Result<void> Check(const Program& program) {
  if (program.transactions.size() > kMaxTransactions) {
    return Fail(ErrorCode::kInvalidArgument, "a netlink program has at most 16 transactions");
  }
  for (size_t i = 0; i < program.transactions.size(); ++i) {
    auto checked =
        CheckTransaction(program.transactions[i], "netlink transaction " + std::to_string(i + 1));
    if (!checked) return checked;
  }
  return {};
}

}  // namespace ambit::netlink
