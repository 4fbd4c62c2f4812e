#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <thread>

#include "lib/net/netns.h"

namespace ambit::proxy::testing {

// A namespace of its own with lo up; it ends with its last descriptor.
inline UniqueFd NewNetns() {
  UniqueFd made;
  std::thread([&made] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs CAP_SYS_ADMIN";
    UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(ioctl(control.get(), SIOCSIFFLAGS, &request), 0);
    made = net::OpenOwnNetns().value();
  }).join();
  return made;
}

}  // namespace ambit::proxy::testing
