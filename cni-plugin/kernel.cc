#include "cni-plugin/kernel.h"

#include "lib/net/netns.h"

namespace ambit::cni {

Result<UniqueFd> LinuxKernel::OpenNetns(const std::string& path) { return net::OpenNetns(path); }

Result<bool> LinuxKernel::IsOwnNetns(int netns_fd) {
  auto own = net::OpenOwnNetns();
  if (!own) return Fail(std::move(own).error());
  auto own_id = net::IdentifyNetns(own->get());
  if (!own_id) return Fail(std::move(own_id).error());
  auto id = net::IdentifyNetns(netns_fd);
  if (!id) return Fail(std::move(id).error());
  return *id == *own_id;
}

Result<void> LinuxKernel::RunIn(int netns_fd, const netlink::Program& program) {
  return net::InNetns(netns_fd, [&program] { return netlink::Run(program); });
}

}  // namespace ambit::cni
