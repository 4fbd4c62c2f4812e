#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "node-agent/redirect/redirect.h"
#include "node-agent/zds/roster.h"

namespace ambit::reconcile {

using NetnsHandle = std::shared_ptr<const UniqueFd>;

// Everything that enrolment changes outside the agent. Called on the reconciler's thread; what
// blocks is done elsewhere meanwhile. Arguments are values because a call may outlive its pod.
class Effects {
 public:
  virtual ~Effects() = default;

  virtual boost::asio::awaitable<Result<void>> Program(NetnsHandle netns,
                                                       redirect::Options options) = 0;
  // As Program, where somebody else has changed the rules: what is not ours in our table goes.
  // Errors  kIo also when the rules differ still.
  virtual boost::asio::awaitable<Result<void>> Repair(NetnsHandle netns,
                                                      redirect::Options options) = 0;
  virtual boost::asio::awaitable<Result<void>> Undo(NetnsHandle netns) = 0;
  // One sentence per difference; empty means the rules are as they should be.
  virtual boost::asio::awaitable<Result<std::vector<std::string>>> Verify(
      NetnsHandle netns, redirect::Options options) = 0;

  // As zds::Server: returns when the newest tunnel serves the pod.
  virtual boost::asio::awaitable<Result<void>> TunnelAdd(zds::Workload workload,
                                                         std::chrono::milliseconds timeout) = 0;
  virtual void TunnelSet(zds::Workload workload) = 0;
  // Ends a TunnelAdd of this pod that is under way.
  virtual void TunnelDel(const std::string& uid) = 0;
  // True as soon as a tunnel is connected.
  virtual boost::asio::awaitable<bool> TunnelWait(std::chrono::milliseconds timeout) = 0;
  virtual bool TunnelServes(const std::string& uid) const = 0;
  // Empty when a tunnel is connected, else a sentence.
  virtual std::string TunnelProblem() const = 0;

  // As SetProbes, for a pod that was enrolled before the agent started: nothing is done now, but no
  // later call leaves these addresses out.
  virtual void ExpectProbes(const std::string& uid, std::set<net::IpAddress> addresses) = 0;
  // The host's probe set holds exactly these addresses for the pod.
  virtual boost::asio::awaitable<Result<void>> SetProbes(std::string uid,
                                                         std::set<net::IpAddress> addresses) = 0;
};

}  // namespace ambit::reconcile
