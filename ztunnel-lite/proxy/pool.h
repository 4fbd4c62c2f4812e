#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <compare>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/net/address.h"
#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/proxy/failure.h"
#include "ztunnel-lite/proxy/interrupt.h"
#include "ztunnel-lite/state/resources.h"

// Purpose  HBONE tunnels of one pod on one worker, shared by its connections.
// Threads  one worker.
// A tunnel that is full returns to use when one of its streams ends. Dialling one peer never holds
// up connections to another; connections to the same peer share the dials under way.
namespace ambit::proxy {

struct PoolKey {
  state::Identity source;
  std::vector<std::string> expected_sans;
  net::Endpoint next_hop;
  auto operator<=>(const PoolKey&) const = default;
};

class TunnelDialer {
 public:
  virtual ~TunnelDialer() = default;
  // Has its own deadlines.
  virtual boost::asio::awaitable<Outcome<std::shared_ptr<hbone::ClientTunnel>>> DialTunnel(
      PoolKey key, Interrupt& interrupt) = 0;
};

class Pool {
 private:
  struct Group;
  struct Tunnel;
  struct Waiter;

 public:
  struct Options {
    uint32_t max_streams = 100;  // for one tunnel, unless the peer allows fewer
    std::chrono::milliseconds unused_release{300000};
    std::chrono::milliseconds wait_timeout{20000};  // for a dial or a free place, together
  };
  // Starts a coroutine that keeps the pool alive until it ends.
  using Spawn = std::function<void(boost::asio::awaitable<void>)>;

  Pool(boost::asio::io_context& io, TunnelDialer& dialer, Options options, Spawn spawn);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  // A place for one stream on a tunnel; destroying it gives the place back. The pool outlives it.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();
    hbone::ClientTunnel& tunnel() const;
    // Another connection was answered on this tunnel before this one got its place, so that its
    // end is an accident of timing and worth another try.
    bool proven() const { return proven_; }
    void MarkProven();

   private:
    friend class Pool;
    Lease(Pool* pool, std::shared_ptr<Tunnel> tunnel);
    void Release();
    Pool* pool_ = nullptr;
    std::shared_ptr<Tunnel> tunnel_;
    bool proven_ = false;
  };

  boost::asio::awaitable<Outcome<Lease>> Acquire(PoolKey key, Interrupt& interrupt);

  // No more dials, whoever waits fails with kCancelled, tunnels end with their last stream.
  void Close();
  size_t tunnel_count() const;

 private:
  using Groups = std::map<PoolKey, Group>;

  std::shared_ptr<Tunnel> Pick(Group& group);
  void Pump(Group& group);
  void Grant(Waiter& waiter, std::shared_ptr<Tunnel> tunnel);
  void FailWaiters(Group& group, const Failure& failure, size_t count);
  boost::asio::awaitable<void> RunDial(PoolKey key);
  void Return(const std::shared_ptr<Tunnel>& tunnel);
  uint32_t LimitOf(const Tunnel& tunnel) const;
  static void Drop(Tunnel& tunnel);
  void EraseIfEmpty(const PoolKey& key);
  void ArmSweep(std::chrono::steady_clock::time_point when);
  void Sweep();

  boost::asio::io_context& io_;
  TunnelDialer& dialer_;
  Options options_;
  Spawn spawn_;
  bool closed_ = false;
  Groups groups_;
  std::vector<Interrupt*> dials_;
  boost::asio::steady_timer sweep_timer_;
  bool sweep_armed_ = false;
  // Tells the timer's handler that the pool is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ambit::proxy
