#include "node-agent/effects/kernel_effects.h"

#include <utility>

#include "lib/net/netns.h"
#include "lib/netlink/program.h"
#include "node-agent/effects/on_pool.h"

namespace ambit::effects {

namespace asio = boost::asio;

asio::awaitable<Result<void>> KernelEffects::Program(reconcile::NetnsHandle netns,
                                                     redirect::Options options) {
  auto program = redirect::PlanRedirect(options);
  if (!program) co_return Fail(program.error());
  auto work = [netns, plan = std::move(*program)] {
    return net::InNetns(netns->get(), [&plan] { return netlink::Run(plan); });
  };
  auto result = co_await OnPool(pool_, std::move(work));
  co_return result;
}

asio::awaitable<Result<void>> KernelEffects::Undo(reconcile::NetnsHandle netns) {
  auto work = [netns, plan = redirect::PlanUndo()] {
    return net::InNetns(netns->get(), [&plan] { return netlink::Run(plan); });
  };
  auto result = co_await OnPool(pool_, std::move(work));
  co_return result;
}

asio::awaitable<Result<std::vector<std::string>>> KernelEffects::Verify(
    reconcile::NetnsHandle netns, redirect::Options options) {
  auto work = [netns, wanted = std::move(options)] {
    return net::InNetns(netns->get(), [&wanted] { return redirect::FindDifferences(wanted); });
  };
  auto result = co_await OnPool(pool_, std::move(work));
  co_return result;
}

asio::awaitable<Result<void>> KernelEffects::TunnelAdd(zds::Workload workload,
                                                       std::chrono::milliseconds timeout) {
  auto result = co_await tunnels_.Add(std::move(workload), timeout);
  co_return result;
}

asio::awaitable<bool> KernelEffects::TunnelWait(std::chrono::milliseconds timeout) {
  bool connected = co_await tunnels_.WaitConnected(timeout);
  co_return connected;
}

std::string KernelEffects::TunnelProblem() const {
  return tunnels_.connected() ? std::string() : tunnels_.WhyNotConnected();
}

asio::awaitable<Result<void>> KernelEffects::SetProbes(std::string uid,
                                                       std::set<net::IpAddress> addresses) {
  probes_.Expect(uid, std::move(addresses));
  auto result = co_await probes_.Flush();
  co_return result;
}

}  // namespace ambit::effects
