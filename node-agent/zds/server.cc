#include "node-agent/zds/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "lib/net/packet.h"

namespace ambit::zds {
namespace {

constexpr char kScope[] = "zds";
constexpr std::chrono::milliseconds kAcceptPause(100);
namespace asio = boost::asio;

}  // namespace

Result<std::unique_ptr<Server>> Server::Listen(asio::io_context& io, ServerOptions options,
                                               observe::Log& log, std::function<void()> on_change) {
  auto socket = net::ListenSeqpacket(options.path);
  if (!socket) return Fail(socket.error());
  return std::unique_ptr<Server>(
      new Server(io, std::move(options), log, std::move(on_change), std::move(*socket)));
}

Server::Server(asio::io_context& io, ServerOptions options, observe::Log& log,
               std::function<void()> on_change, UniqueFd socket)
    : io_(io),
      options_(std::move(options)),
      log_(log),
      on_change_(std::move(on_change)),
      socket_(io, socket.Release()),
      accept_pause_(io) {}

Server::~Server() {
  Stop();
  *alive_ = false;
}

void Server::Accept() {
  if (!stopped_) WaitForConnection();
}

void Server::WaitForConnection() {
  socket_.async_wait(
      asio::posix::descriptor_base::wait_read,
      [this, alive = alive_](const boost::system::error_code& error) {
        if (error || !*alive || stopped_) return;
        if (auto taken = TakeConnections(); taken) return WaitForConnection();
        // Out of descriptors: the socket stays readable, so wait a moment.
        accept_pause_.expires_after(kAcceptPause);
        accept_pause_.async_wait([this, alive](const boost::system::error_code& cancelled) {
          if (!cancelled && *alive && !stopped_) WaitForConnection();
        });
      });
}

Result<void> Server::TakeConnections() {
  while (true) {
    UniqueFd accepted(
        accept4(socket_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted.valid()) {
      Admit(std::move(accepted));
    } else if (errno == EAGAIN) {
      return {};
    } else {
      Error error = ErrnoError(errno, "accept a tunnel");
      log_.Warn(kScope, error.message());
      return Fail(std::move(error));
    }
  }
}

void Server::Admit(UniqueFd socket) {
  auto peer = net::ReadPeerCredentials(socket.get());
  if (!peer || (peer->uid != 0 && peer->uid != options_.allowed_uid)) {
    log_.Warn(kScope, "refused a connection that is not root's");
    return;
  }
  if (sessions_.size() >= static_cast<size_t>(options_.max_connections)) {
    log_.Warn(kScope, "refused a tunnel: the limit of connections is reached");
    return;
  }
  Session::Hooks hooks;
  hooks.on_progress = [this, alive = alive_] {
    if (*alive) Progress();
  };
  hooks.on_end = [this, alive = alive_](Session& session, const std::string& reason) {
    if (*alive) OnSessionEnd(session, reason);
  };
  auto session = std::make_shared<Session>(io_, std::move(socket), roster_, options_.deadlines,
                                           std::move(hooks));
  session->SetName("pid " + std::to_string(peer->pid));
  log_.Info(kScope, "a tunnel connected", {{"peer", session->Name()}});
  sessions_.push_back(session);
  session->Start();
}

void Server::OnSessionEnd(Session& session, const std::string& reason) {
  log_.Info(kScope, "a tunnel's connection ended", {{"peer", session.Name()}, {"reason", reason}});
  sessions_.remove_if([&session](const auto& other) { return other.get() == &session; });
  Progress();
}

void Server::Progress() {
  if (stopped_) return;
  bool now = connected();
  if (now != was_connected_) {
    was_connected_ = now;
    disconnected_since_ = std::chrono::steady_clock::now();
    log_.Info(kScope, now ? "a tunnel has its snapshot and gets pods from now on"
                          : "no tunnel is connected any more");
  }
  // A copy: a session that fails while it sends takes itself out of the list.
  auto sessions = sessions_;
  for (const auto& session : sessions) session->Pump();
  SettleAll();
  on_change_();
}

void Server::Set(Workload workload) {
  roster_.Set(std::move(workload));
  Progress();
}

void Server::Remove(const std::string& uid) {
  roster_.Remove(uid);
  for (const auto& weak : waiters_) {
    auto waiter = weak.lock();
    if (waiter == nullptr || waiter->done || waiter->uid != uid) continue;
    waiter->done = true;
    waiter->result = Fail(ErrorCode::kCancelled, "the pod was removed meanwhile");
    waiter->timer.cancel();
  }
  Progress();
}

void Server::Settle(Waiter& waiter) {
  if (waiter.done) return;
  if (waiter.uid.empty()) {
    waiter.done = connected();
  } else {
    auto verdict = roster_.VerdictOf(waiter.uid);
    waiter.done = verdict != Roster::Verdict::kPending;
    if (verdict == Roster::Verdict::kRefused) {
      waiter.result = Fail(ErrorCode::kUnavailable,
                           "the tunnel refused the pod: " + roster_.RefusalOf(waiter.uid));
    }
  }
  if (waiter.done) waiter.timer.cancel();
}

void Server::SettleAll() {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    auto waiter = it->lock();
    if (waiter != nullptr) Settle(*waiter);
    it = waiter == nullptr || waiter->done ? waiters_.erase(it) : std::next(it);
  }
}

std::string Server::WhyNotConnected() const {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() -
                                                                  disconnected_since_);
  return "no tunnel has been connected to " + options_.path + " for " +
         std::to_string(seconds.count()) + " s";
}

Result<void> Server::Unsettled(const Waiter& waiter) const {
  if (stopped_) return Fail(ErrorCode::kCancelled, "the agent is stopping");
  if (!connected()) return Fail(ErrorCode::kUnavailable, WhyNotConnected());
  return Fail(ErrorCode::kTimedOut,
              "the tunnel has not acknowledged pod uid " + waiter.uid + " in time");
}

asio::awaitable<void> Server::Await(std::shared_ptr<Waiter> waiter,
                                    std::chrono::milliseconds timeout) {
  waiters_.push_back(waiter);
  waiter->timer.expires_after(timeout);
  Settle(*waiter);
  if (waiter->done) co_return;
  boost::system::error_code ignored;
  co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<Result<void>> Server::Add(Workload workload, std::chrono::milliseconds timeout) {
  auto waiter = std::make_shared<Waiter>(io_);
  waiter->uid = workload.uid;
  Set(std::move(workload));
  if (stopped_) co_return Fail(ErrorCode::kCancelled, "the agent is stopping");
  co_await Await(waiter, timeout);
  if (!waiter->done) co_return Unsettled(*waiter);
  co_return waiter->result;
}

asio::awaitable<bool> Server::WaitConnected(std::chrono::milliseconds timeout) {
  auto waiter = std::make_shared<Waiter>(io_);
  if (!stopped_) co_await Await(waiter, timeout);
  co_return waiter->done && waiter->result.has_value();
}

void Server::Stop() {
  if (stopped_) return;
  stopped_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  accept_pause_.cancel();
  auto sessions = std::exchange(sessions_, {});
  for (const auto& session : sessions) session->Close();
  for (const auto& weak : waiters_) {
    auto waiter = weak.lock();
    if (waiter == nullptr || waiter->done) continue;
    waiter->done = true;
    waiter->result = Fail(ErrorCode::kCancelled, "the agent is stopping");
    waiter->timer.cancel();
  }
  waiters_.clear();
}

}  // namespace ambit::zds
