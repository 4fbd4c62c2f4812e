#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <thread>

#include "lib/netlink/channel.h"
#include "lib/netlink/program.h"

namespace ambit::netlink {
namespace {

using ::testing::HasSubstr;

// Builds one message by hand, so that these tests depend on no library either.
class Builder {
 public:
  Builder(std::string name, uint16_t type, uint16_t flags) : name_(std::move(name)) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    Put(header);
  }

  template <typename T>
  Builder& Put(const T& value) {
    const auto bytes = AsBytes({reinterpret_cast<const char*>(&value), sizeof(value)});
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }

  Builder& Attribute(uint16_t type, std::string_view value) {
    Put(nlattr{static_cast<uint16_t>(sizeof(nlattr) + value.size()), type});
    const auto bytes = AsBytes(value);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    bytes_.resize((bytes_.size() + 3) & ~size_t{3});
    return *this;
  }

  Message Build(std::vector<int> tolerated = {}) {
    const auto length = static_cast<uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof(length));
    return {.name = name_, .bytes = bytes_, .tolerated = std::move(tolerated)};
  }

 private:
  std::string name_;
  Bytes bytes_;
};

Message BatchEdge(uint16_t type) {
  Message edge = Builder("batch edge", type, 0)
                     .Put(nfgenmsg{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)})
                     .Build();
  edge.acknowledged = false;
  return edge;
}

Message Table(const std::string& name, uint16_t type, uint16_t flags,
              std::vector<int> tolerated = {}) {
  return Builder("table " + name, static_cast<uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | type), flags)
      .Put(nfgenmsg{NFPROTO_INET, NFNETLINK_V0, 0})
      .Attribute(NFTA_TABLE_NAME, name + '\0')
      .Build(std::move(tolerated));
}

Message AddTable(const std::string& name) {
  return Table(name, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
}
Message DeleteTable(const std::string& name, std::vector<int> tolerated = {}) {
  return Table(name, NFT_MSG_DELTABLE, 0, std::move(tolerated));
}

Program Batch(const std::vector<Message>& messages) {
  Transaction transaction{.family = NETLINK_NETFILTER, .messages = {}};
  transaction.messages.push_back(BatchEdge(NFNL_MSG_BATCH_BEGIN));
  transaction.messages.insert(transaction.messages.end(), messages.begin(), messages.end());
  transaction.messages.push_back(BatchEdge(NFNL_MSG_BATCH_END));
  return {.transactions = {std::move(transaction)}};
}

Message AddLoopbackAddress(uint32_t address_be, std::vector<int> tolerated = {}) {
  ifaddrmsg body{};
  body.ifa_family = AF_INET;
  body.ifa_prefixlen = 32;
  body.ifa_index = 1;
  const std::string_view text(reinterpret_cast<const char*>(&address_be), sizeof(address_be));
  return Builder("add an address to lo", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL)
      .Put(body)
      .Attribute(IFA_LOCAL, text)
      .Build(std::move(tolerated));
}

// Runs `work` on a thread in a namespace of its own, which ends with the thread.
void InFreshNetns(const std::function<void()>& work) {
  std::thread([&work] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs CAP_SYS_ADMIN";
    work();
  }).join();
}

TEST(Executor, AnEmptyProgramIsDone) { EXPECT_TRUE(netlink::Run({}).has_value()); }

TEST(Executor, ABatchIsRunAndAcknowledged) {
  InFreshNetns([] {
    auto done = netlink::Run(Batch({AddTable("one"), AddTable("two")}));
    ASSERT_TRUE(done.has_value()) << done.error().message();
    EXPECT_TRUE(netlink::Run(Batch({DeleteTable("one"), DeleteTable("two")})).has_value());
  });
}

TEST(Executor, TheRefusedMessageOfABatchIsNamedAndNothingOfTheBatchStays) {
  InFreshNetns([] {
    auto done = netlink::Run(Batch({AddTable("one"), DeleteTable("absent"), AddTable("two")}));
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code(), ErrorCode::kIo);
    EXPECT_EQ(done.error().sys_errno(), ENOENT);
    EXPECT_THAT(done.error().message(), HasSubstr("refused \"table absent\""));
    EXPECT_EQ(netlink::Run(Batch({DeleteTable("one")})).error().sys_errno(), ENOENT);
  });
}

TEST(Executor, AToleratedRefusalIsSuccess) {
  InFreshNetns([] {
    EXPECT_TRUE(netlink::Run(Batch({DeleteTable("absent", {ENOENT})})).has_value());
    EXPECT_FALSE(netlink::Run(Batch({DeleteTable("absent", {EEXIST})})).has_value());
  });
}

TEST(Executor, ABatchThatTheKernelRefusesAsAWholeIsAnErrorAlthoughItsEdgeIsNotAcknowledged) {
  InFreshNetns([] {
    Program program = Batch({AddTable("one")});
    // A subsystem that does not exist.
    nfgenmsg body{AF_UNSPEC, NFNETLINK_V0, htons(250)};
    std::memcpy(program.transactions[0].messages[0].bytes.data() + sizeof(nlmsghdr), &body,
                sizeof(body));
    EXPECT_FALSE(netlink::Run(program).has_value());
  });
}

TEST(Executor, RouteMessagesStandAloneAndTheFirstRefusalIsReported) {
  InFreshNetns([] {
    const uint32_t address = htonl(0x0a000001);
    const Message add = AddLoopbackAddress(address);
    Program program{{{NETLINK_ROUTE, {add, add, AddLoopbackAddress(address + 1)}}}};
    auto done = netlink::Run(program);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().sys_errno(), EEXIST);
    EXPECT_THAT(done.error().message(), HasSubstr("add an address to lo"));
    const Message again = AddLoopbackAddress(address, {EEXIST});
    EXPECT_TRUE(netlink::Run({{{NETLINK_ROUTE, {again, again}}}}).has_value());
  });
}

TEST(Executor, AFailedTransactionStopsTheOnesBehindIt) {
  InFreshNetns([] {
    Program program = Batch({DeleteTable("absent")});
    program.transactions.push_back(Batch({AddTable("later")}).transactions[0]);
    EXPECT_FALSE(netlink::Run(program).has_value());
    EXPECT_EQ(netlink::Run(Batch({DeleteTable("later")})).error().sys_errno(), ENOENT);
  });
}

TEST(Executor, TheKernelsOwnExplanationIsInTheError) {
  InFreshNetns([] {
    ifaddrmsg body{};
    body.ifa_family = AF_INET;
    body.ifa_prefixlen = 33;
    body.ifa_index = 1;
    const Message bad = Builder("bad address", RTM_NEWADDR, NLM_F_CREATE)
                            .Put(body)
                            .Attribute(IFA_LOCAL, std::string_view("\x0a\0\0\1", 4))
                            .Build();
    auto done = netlink::Run({{{NETLINK_ROUTE, {bad}}}});
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().message(), HasSubstr("(ipv4: "));
  });
}

TEST(Executor, FiveHundredAcknowledgementsFitTheReceiveBuffer) {
  InFreshNetns([] {
    std::vector<Message> messages;
    for (int i = 0; i < 510; ++i) messages.push_back(AddTable("t" + std::to_string(i)));
    auto done = netlink::Run(Batch(messages));
    EXPECT_TRUE(done.has_value()) << done.error().message();
  });
}

TEST(Channel, RunsOneTransactionAfterTheOtherAlsoBehindARefusal) {
  InFreshNetns([] {
    Channel channel;
    auto run = [&channel](const Message& message) {
      return channel.Run(Batch({message}).transactions[0]);
    };
    EXPECT_TRUE(run(AddTable("one")).has_value());
    EXPECT_TRUE(run(AddTable("two")).has_value());
    auto refused = run(AddTable("two"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().sys_errno(), EEXIST);
    EXPECT_TRUE(run(DeleteTable("two")).has_value());
    EXPECT_TRUE(netlink::Run(Batch({DeleteTable("one")})).has_value());
  });
}

TEST(Channel, TakesTransactionsOfBothFamilies) {
  InFreshNetns([] {
    Channel channel;
    const Transaction route{NETLINK_ROUTE, {AddLoopbackAddress(htonl(0x0a000001))}};
    EXPECT_TRUE(channel.Run(Batch({AddTable("one")}).transactions[0]).has_value());
    EXPECT_TRUE(channel.Run(route).has_value());
    EXPECT_TRUE(channel.Run({.family = NETLINK_NETFILTER, .messages = {}}).has_value());
    EXPECT_EQ(channel.Run({.family = 42, .messages = {}}).error().code(),
              ErrorCode::kInvalidArgument);
  });
}

TEST(Channel, ALargeTransactionBehindASmallOneFitsTheSendBuffer) {
  InFreshNetns([] {
    Channel channel;
    ASSERT_TRUE(channel.Run(Batch({AddTable("small")}).transactions[0]).has_value());
    std::vector<Message> messages;
    for (int i = 0; i < 510; ++i) messages.push_back(AddTable("t" + std::to_string(i)));
    auto done = channel.Run(Batch(messages).transactions[0]);
    EXPECT_TRUE(done.has_value()) << done.error().message();
  });
}

TEST(Executor, WithoutThePrivilegeTheErrorSaysSo) {
  InFreshNetns([] {
    // The plain system call changes this thread only, which ends here.
    ASSERT_EQ(syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    auto done = netlink::Run(Batch({AddTable("one")}));
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code(), ErrorCode::kPermissionDenied);
    EXPECT_THAT(done.error().message(), HasSubstr("CAP_NET_ADMIN"));
  });
}

}  // namespace
}  // namespace ambit::netlink
