#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "lib/base/error.h"
#include "lib/observe/log.h"
#include "node-agent/zds/roster.h"
#include "node-agent/zds/session.h"

// Purpose  the agent's end of ZDS: tunnels connect to a SOCK_SEQPACKET socket and are told which
//          pods to serve, each pod with a descriptor of its network namespace.
// Threads  the io_context's single thread.
// Errors   a tunnel that breaks protocol or deadline loses its connection; the pods stay wanted and
//          the next newest tunnel gets what it has not.
// Source   docs/zds.md.
namespace ambit::zds {

struct ServerOptions {
  std::string path;
  Deadlines deadlines;
  int max_connections = 16;
  uid_t allowed_uid = 0;  // besides root
};

class Server {
 public:
  // The socket exists (0600) and connections queue up, but none is served before Accept().
  // `on_change` runs after each connect, disconnect and answer.
  static Result<std::unique_ptr<Server>> Listen(boost::asio::io_context& io, ServerOptions options,
                                                observe::Log& log, std::function<void()> on_change);
  ~Server();

  // Serves tunnels from here on. Call it when every pod that runs already has been Set: a tunnel
  // forgets the pods that its snapshot does not name.
  void Accept();

  // The pod should be served, nobody waits for it.
  void Set(Workload workload);
  // Returns when the newest tunnel serves the pod. After any error the pod is still wanted.
  // Errors  kUnavailable: no tunnel is connected, or it refused (its words are in the text);
  //         kTimedOut: it did not answer in time; kCancelled: removed or stopped meanwhile.
  boost::asio::awaitable<Result<void>> Add(Workload workload, std::chrono::milliseconds timeout);
  void Remove(const std::string& uid);

  // True when a tunnel counts: hello and snapshot are done.
  bool connected() const { return roster_.newest().has_value(); }
  boost::asio::awaitable<bool> WaitConnected(std::chrono::milliseconds timeout);
  bool Serves(const std::string& uid) const {
    return roster_.VerdictOf(uid) == Roster::Verdict::kServed;
  }
  // For an error text: "no tunnel is connected to <path> since 12 s".
  std::string WhyNotConnected() const;
  // Closes the socket and every connection; waiters get kCancelled.
  void Stop();

 private:
  struct Waiter {
    explicit Waiter(boost::asio::io_context& io) : timer(io) {}
    boost::asio::steady_timer timer;
    std::string uid;  // empty: waits for a connection
    bool done = false;
    Result<void> result;
  };

  Server(boost::asio::io_context& io, ServerOptions options, observe::Log& log,
         std::function<void()> on_change, UniqueFd socket);
  void WaitForConnection();
  // Errors  kResourceExhausted and others of accept(2): nothing can be accepted just now.
  Result<void> TakeConnections();
  void Admit(UniqueFd socket);
  void OnSessionEnd(Session& session, const std::string& reason);
  // Everything that may be due after a change of the roster.
  void Progress();
  void Settle(Waiter& waiter);
  void SettleAll();
  Result<void> Unsettled(const Waiter& waiter) const;
  boost::asio::awaitable<void> Await(std::shared_ptr<Waiter> waiter,
                                     std::chrono::milliseconds timeout);

  boost::asio::io_context& io_;
  ServerOptions options_;
  observe::Log& log_;
  std::function<void()> on_change_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer accept_pause_;
  // Handlers that outlive the server see that it is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Roster roster_;
  std::list<std::shared_ptr<Session>> sessions_;
  std::list<std::weak_ptr<Waiter>> waiters_;
  bool stopped_ = false;
  bool was_connected_ = false;
  std::chrono::steady_clock::time_point disconnected_since_ = std::chrono::steady_clock::now();
};

}  // namespace ambit::zds
