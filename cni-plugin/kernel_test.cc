#include "cni-plugin/kernel.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "lib/net/netns.h"

namespace ambit::cni {
namespace {

// A namespace that lives as long as its descriptor.
UniqueFd MakeNetns() {
  UniqueFd fd;
  std::thread([&fd] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    auto own = net::OpenOwnNetns();
    ASSERT_TRUE(own.has_value());
    fd = std::move(*own);
  }).join();
  return fd;
}

TEST(LinuxKernel, TellsItsOwnNamespaceFromAnother) {
  LinuxKernel kernel;
  auto own = kernel.OpenNetns("/proc/thread-self/ns/net");
  ASSERT_TRUE(own.has_value()) << own.error().message();
  EXPECT_TRUE(*kernel.IsOwnNetns(own->get()));
  UniqueFd other = MakeNetns();
  EXPECT_FALSE(*kernel.IsOwnNetns(other.get()));
}

TEST(LinuxKernel, AFileThatIsNoNamespaceIsRefused) {
  EXPECT_FALSE(LinuxKernel().OpenNetns("/etc/hostname").has_value());
  EXPECT_FALSE(LinuxKernel().OpenNetns("/nowhere").has_value());
}

TEST(LinuxKernel, AProgramRunsInThePodAndTheThreadComesBack) {
  LinuxKernel kernel;
  UniqueFd pod = MakeNetns();
  auto ran = kernel.RunIn(pod.get(), netlink::Program{});
  EXPECT_TRUE(ran.has_value()) << ran.error().message();
  EXPECT_FALSE(*kernel.IsOwnNetns(pod.get()));
}

}  // namespace
}  // namespace ambit::cni
