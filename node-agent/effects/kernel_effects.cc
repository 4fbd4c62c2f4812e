#include "node-agent/effects/kernel_effects.h"

#include <utility>

#include "lib/net/netns.h"
#include "lib/netlink/program.h"
#include "node-agent/effects/on_pool.h"

namespace ambit::effects {

namespace asio = boost::asio;

namespace {

// Empty when the rules of this thread's namespace are as they should be after the program, else
// what is not.
Result<std::string> RunAndCompare(const netlink::Program& program,
                                  const redirect::Options& options) {
  if (auto ran = netlink::Run(program); !ran) return Fail(ran.error());
  auto left = redirect::FindDifferences(options);
  if (!left) return Fail(left.error());
  return left->empty() ? std::string() : left->front();
}

// The gentle way first: it replaces the rules with no moment between old and new. Only what that
// cannot repair (chains that are not ours, or have another hook) costs the table.
Result<void> RepairHere(const redirect::Options& options) {
  auto again = redirect::PlanRedirect(options);
  if (!again) return Fail(again.error());
  if (auto left = RunAndCompare(*again, options); left && left->empty()) return {};
  auto anew = redirect::PlanRepair(options);
  if (!anew) return Fail(anew.error());
  auto left = RunAndCompare(*anew, options);
  if (!left) return Fail(left.error());
  if (left->empty()) return {};
  return Fail(ErrorCode::kIo,
              "the rules differ although their table was made anew, somebody else "
              "may be changing them: " +
                  *left);
}

}  // namespace

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

asio::awaitable<Result<void>> KernelEffects::Repair(reconcile::NetnsHandle netns,
                                                    redirect::Options options) {
  auto work = [netns, wanted = std::move(options)] {
    return net::InNetns(netns->get(), [&wanted] { return RepairHere(wanted); });
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
