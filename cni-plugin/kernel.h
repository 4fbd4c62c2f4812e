#pragma once

#include <string>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/netlink/program.h"

namespace ambit::cni {

// Effect: the pod's network namespace. Handed in, so that a test can be the kernel.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Result<UniqueFd> OpenNetns(const std::string& path) = 0;
  // Whether `netns_fd` is the namespace this process runs in.
  virtual Result<bool> IsOwnNetns(int netns_fd) = 0;
  virtual Result<void> RunIn(int netns_fd, const netlink::Program& program) = 0;
};

class LinuxKernel : public Kernel {
 public:
  Result<UniqueFd> OpenNetns(const std::string& path) override;
  Result<bool> IsOwnNetns(int netns_fd) override;
  Result<void> RunIn(int netns_fd, const netlink::Program& program) override;
};

}  // namespace ambit::cni
