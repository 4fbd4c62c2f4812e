#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>
#include <vector>

#include "node-agent/effects/probe_keeper.h"
#include "node-agent/reconcile/effects.h"
#include "node-agent/zds/server.h"

namespace ambit::effects {

// The real effects: netlink inside pods' namespaces, ZDS, the host's probe set. Pods are entered by
// the threads of the pool, so that a slow kernel answer for one holds up neither the loop nor the
// others.
class KernelEffects : public reconcile::Effects {
 public:
  // Everything outlives it.
  KernelEffects(boost::asio::thread_pool& pool, zds::Server& tunnels, ProbeKeeper& probes)
      : pool_(pool), tunnels_(tunnels), probes_(probes) {}

  boost::asio::awaitable<Result<void>> Program(reconcile::NetnsHandle netns,
                                               redirect::Options options) override;
  boost::asio::awaitable<Result<void>> Repair(reconcile::NetnsHandle netns,
                                              redirect::Options options) override;
  boost::asio::awaitable<Result<void>> Undo(reconcile::NetnsHandle netns) override;
  boost::asio::awaitable<Result<std::vector<std::string>>> Verify(
      reconcile::NetnsHandle netns, redirect::Options options) override;
  boost::asio::awaitable<Result<void>> TunnelAdd(zds::Workload workload,
                                                 std::chrono::milliseconds timeout) override;
  void TunnelSet(zds::Workload workload) override { tunnels_.Set(std::move(workload)); }
  void TunnelDel(const std::string& uid) override { tunnels_.Remove(uid); }
  boost::asio::awaitable<bool> TunnelWait(std::chrono::milliseconds timeout) override;
  bool TunnelServes(const std::string& uid) const override { return tunnels_.Serves(uid); }
  std::string TunnelProblem() const override;
  void ExpectProbes(const std::string& uid, std::set<net::IpAddress> addresses) override {
    probes_.Expect(uid, std::move(addresses));
  }
  boost::asio::awaitable<Result<void>> SetProbes(std::string uid,
                                                 std::set<net::IpAddress> addresses) override;

 private:
  boost::asio::thread_pool& pool_;
  zds::Server& tunnels_;
  ProbeKeeper& probes_;
};

}  // namespace ambit::effects
