#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/net/address.h"
#include "ztunnel-lite/hbone/tunnel.h"
#include "ztunnel-lite/proxy/interrupt.h"
#include "ztunnel-lite/proxy/rbac.h"
#include "ztunnel-lite/telemetry/traffic.h"

// Purpose  what can be done to a connection from outside its coroutine: cut it, re-check it.
// Threads  one worker.
namespace ambit::proxy {

using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// Counts what runs, so that a drain knows when nothing does.
class Gate {
 public:
  class Hold {
   public:
    explicit Hold(Gate& gate) : gate_(&gate) { ++gate_->running_; }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { gate_->Leave(); }

   private:
    Gate* gate_;
  };

  size_t running() const { return running_; }
  // Runs `empty` once, at the first moment without a Hold; at once if there is none.
  void WhenEmpty(std::function<void()> empty);

 private:
  void Leave();
  size_t running_ = 0;
  std::function<void()> empty_;
};

// One accepted TCP socket in the sockets_open metric.
class SocketCount {
 public:
  SocketCount(telemetry::Traffic& traffic, telemetry::Reporter reporter)
      : traffic_(traffic), reporter_(reporter) {
    traffic_.SocketOpened(reporter_);
  }
  SocketCount(const SocketCount&) = delete;
  SocketCount& operator=(const SocketCount&) = delete;
  ~SocketCount() { traffic_.SocketClosed(reporter_); }

 private:
  telemetry::Traffic& traffic_;
  telemetry::Reporter reporter_;
};

// One accepted socket or one CONNECT stream, from accept to close.
class Connection : public ConnectionHook, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Gate& gate, UniqueFd accepted, const net::Endpoint& peer)
      : hold_(gate), peer_(peer), socket_(std::move(accepted)) {}

  const net::Endpoint& peer() const { return peer_; }
  Interrupt& interrupt() { return interrupt_; }

  // The socket stays here while the connection is being set up, so that Cut() and Refuse() reach
  // it; a relay takes it.
  int socket() const { return socket_.get(); }
  UniqueFd TakeSocket() { return std::move(socket_); }
  // Closes the socket with RST, so that the client sees an error and not an empty answer.
  void Refuse();

  // `socket` is a second descriptor of one that the TLS handshake has taken: Cut() shuts it down.
  void BeginHandshake(UniqueFd second) { handshake_ = std::move(second); }
  void EndHandshake() { handshake_.Reset(); }

  // While a relay runs, Cut() goes through its control.
  hbone::RelayControl& BeginRelay() { return control_.emplace(); }
  void EndRelay() { control_.reset(); }

  // Ends it whatever it is doing; the first reason stays. kPermissionDenied means a policy, all
  // other codes a drain or a removed pod.
  void Cut(Error reason);
  const std::optional<Error>& cut() const { return cut_; }

  // Set on connections that policies hold for, before the first evaluation.
  std::optional<RbacConnection> rbac;
  // Set on accepted sockets.
  std::optional<SocketCount> socket_count;

 private:
  Gate::Hold hold_;
  net::Endpoint peer_;
  UniqueFd socket_;
  UniqueFd handshake_;
  Interrupt interrupt_;
  std::optional<hbone::RelayControl> control_;
  std::optional<Error> cut_;
};

using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace ambit::proxy
