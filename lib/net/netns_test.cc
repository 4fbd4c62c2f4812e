#include "lib/net/netns.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace ambit::net {
namespace {

// A namespace without a name: it ends with its last descriptor.
Result<UniqueFd> NewNetns() {
  Result<UniqueFd> made = Fail(ErrorCode::kIo, "thread did not run");
  std::thread([&made] {
    if (unshare(CLONE_NEWNET) != 0) {
      made = FailErrno(errno, "unshare (needs CAP_SYS_ADMIN)");
    } else {
      made = OpenOwnNetns();
    }
  }).join();
  return made;
}

TEST(Netns, WorkRunsInsideAndTheThreadComesBack) {
  auto other = NewNetns();
  ASSERT_TRUE(other.has_value()) << other.error().message();
  auto own_before = IdentifyNetns(OpenOwnNetns()->get());
  auto inside = InNetns(other->get(), [] { return IdentifyNetns(OpenOwnNetns()->get()); });
  ASSERT_TRUE(inside.has_value());
  EXPECT_EQ(*inside, *IdentifyNetns(other->get()));
  EXPECT_NE(*inside, *own_before);
  EXPECT_EQ(*own_before, *IdentifyNetns(OpenOwnNetns()->get()));
}

TEST(Netns, AThreadThatKnowsItsOwnNamespaceComesBackThere) {
  auto other = NewNetns();
  ASSERT_TRUE(other.has_value()) << other.error().message();
  auto own = OpenOwnNetns();
  auto own_before = IdentifyNetns(own->get());
  {
    auto inside = ScopedNetns::Enter(other->get(), own->get());
    ASSERT_TRUE(inside.has_value());
    const ScopedNetns moved = std::move(*inside);
    EXPECT_EQ(*IdentifyNetns(OpenOwnNetns()->get()), *IdentifyNetns(other->get()));
  }
  EXPECT_EQ(*own_before, *IdentifyNetns(OpenOwnNetns()->get()));
}

TEST(Netns, AnOrdinaryFileIsRefused) {
  auto opened = OpenNetns("/etc/hostname");
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(OpenNetns("/run/netns/there-is-none").error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ambit::net
