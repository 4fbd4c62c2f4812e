#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node-agent/reconcile/effects.h"

namespace ambit::reconcile {

// Effects in memory, for tests: each call is a line in `calls`; it fails once per entry in `fail`,
// and waits while its name is in `hold`.
class FakeEffects : public Effects {
 public:
  explicit FakeEffects(boost::asio::io_context& io) : io_(io) {}

  std::vector<std::string> TakeCalls() { return std::exchange(calls, {}); }
  void Release(const std::string& call) {
    hold.erase(call);
    for (auto& timer : waiting_) timer->cancel();
  }

  boost::asio::awaitable<Result<void>> Program(NetnsHandle, redirect::Options) override {
    return Call("program");
  }
  boost::asio::awaitable<Result<void>> Repair(NetnsHandle, redirect::Options) override {
    return Call("repair");
  }
  boost::asio::awaitable<Result<void>> Undo(NetnsHandle) override { return Call("undo"); }
  boost::asio::awaitable<Result<std::vector<std::string>>> Verify(NetnsHandle,
                                                                  redirect::Options) override {
    auto called = co_await Call("verify");
    if (!called) co_return Fail(called.error());
    co_return std::exchange(differences, {});
  }
  boost::asio::awaitable<Result<void>> TunnelAdd(zds::Workload workload,
                                                 std::chrono::milliseconds) override {
    std::string uid = workload.uid;
    removed_.erase(uid);
    auto called = co_await Call("add " + uid);
    if (removed_.contains(uid)) co_return Fail(ErrorCode::kCancelled, "removed meanwhile");
    if (called) served.insert(uid);
    co_return called;
  }
  void TunnelSet(zds::Workload workload) override {
    calls.push_back((workload.netns ? "set " : "keep ") + workload.uid);
  }
  void TunnelDel(const std::string& uid) override {
    calls.push_back("del " + uid);
    removed_.insert(uid);
    served.erase(uid);
    Release("add " + uid);
  }
  boost::asio::awaitable<bool> TunnelWait(std::chrono::milliseconds) override {
    bool connected = tunnel_problem.empty();
    co_return connected;
  }
  bool TunnelServes(const std::string& uid) const override { return served.contains(uid); }
  std::string TunnelProblem() const override { return tunnel_problem; }
  void ExpectProbes(const std::string& uid, std::set<net::IpAddress> addresses) override {
    calls.push_back("expect " + uid);
    probes[uid] = std::move(addresses);
  }
  boost::asio::awaitable<Result<void>> SetProbes(std::string uid,
                                                 std::set<net::IpAddress> addresses) override {
    size_t count = addresses.size();
    auto called = co_await Call("probes " + std::to_string(count));
    if (called) probes[uid] = std::move(addresses);
    co_return called;
  }

  std::vector<std::string> calls;
  std::map<std::string, int> fail;
  std::set<std::string> hold;
  std::vector<std::string> differences;
  std::set<std::string> served;
  std::map<std::string, std::set<net::IpAddress>> probes;
  std::string tunnel_problem;

 private:
  boost::asio::awaitable<Result<void>> Call(std::string name) {
    calls.push_back(name);
    while (hold.contains(name)) {
      auto timer = std::make_shared<boost::asio::steady_timer>(io_);
      timer->expires_at(boost::asio::steady_timer::time_point::max());
      waiting_.push_back(timer);
      boost::system::error_code ignored;
      co_await timer->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
    if (fail[name] > 0) {
      --fail[name];
      co_return Fail(ErrorCode::kIo, name + " was refused");
    }
    co_return Result<void>{};
  }

  boost::asio::io_context& io_;
  std::vector<std::shared_ptr<boost::asio::steady_timer>> waiting_;
  std::set<std::string> removed_;
};

}  // namespace ambit::reconcile
