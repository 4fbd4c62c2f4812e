#include "ztunnel-lite/zds/client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "ztunnel-lite/xds/backoff.h"

namespace ambit::zds {

namespace asio = boost::asio;

namespace {

constexpr char kScope[] = "zds";
constexpr size_t kMaxPacketBytes = 4096;
constexpr auto kWait = asio::as_tuple(asio::use_awaitable);

}  // namespace

class Client::Impl : public std::enable_shared_from_this<Client::Impl> {
 public:
  Impl(Options options, asio::io_context& control, PodSet& pods, observe::Log& log)
      : options_(std::move(options)),
        pods_(pods),
        log_(log),
        socket_(control),
        pause_(control),
        retry_(control) {}

  // Holds itself until Stop() took effect.
  static asio::awaitable<void> Run(std::shared_ptr<Impl> self);
  void Stop();

 private:
  asio::awaitable<Result<void>> Serve();
  asio::awaitable<Result<void>> ServeMessages();
  asio::awaitable<Result<net::Packet>> Receive();
  asio::awaitable<Result<void>> Send(Bytes bytes);
  void ArmRetry();
  void RetryPending();

  const Options options_;
  PodSet& pods_;
  observe::Log& log_;
  asio::posix::stream_descriptor socket_;
  asio::steady_timer pause_;
  asio::steady_timer retry_;
  bool retry_armed_ = false;
  bool stopped_ = false;
  xds::Backoff backoff_{xds::Backoff::Options()};
};

asio::awaitable<void> Client::Impl::Run(std::shared_ptr<Impl> self) {
  while (!self->stopped_) {
    Result<void> served = co_await self->Serve();
    if (self->stopped_) co_return;
    self->pods_.Disconnected();
    auto delay = self->backoff_.Next();
    std::string when = std::to_string(delay.count()) + "ms";
    self->log_.Warn(kScope, "connection to the node agent ended",
                    {{"path", self->options_.path},
                     {"error", served ? "closed by the agent" : served.error().message()},
                     {"retry_in", observe::Bare{when}}});
    self->pause_.expires_after(delay);
    co_await self->pause_.async_wait(kWait);
  }
}

asio::awaitable<Result<void>> Client::Impl::Serve() {
  auto connected = net::ConnectSeqpacket(options_.path);
  if (!connected) co_return std::unexpected(connected.error());
  socket_.assign(connected->Release());
  Result<void> outcome = co_await Send(EncodeHello());
  if (outcome) {
    log_.Info(kScope, "connected to the node agent", {{"path", options_.path}});
    pods_.Connected();
    outcome = co_await ServeMessages();
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
  co_return outcome;
}

asio::awaitable<Result<void>> Client::Impl::ServeMessages() {
  for (;;) {
    auto packet = co_await Receive();
    if (!packet) co_return std::unexpected(packet.error());
    if (packet->bytes.empty() && !packet->truncated && packet->fds.empty())
      co_return Result<void>();
    auto message = Decode(std::move(*packet));
    Result<void> handled;
    if (message) {
      handled = pods_.Handle(std::move(*message));
    } else {
      handled = std::unexpected(message.error());
    }
    ArmRetry();
    if (!handled) {
      log_.Warn(kScope, "negative answer to the node agent",
                {{"error", handled.error().message()}});
    }
    auto sent = co_await Send(EncodeAck(handled ? "" : handled.error().message()));
    if (!sent) co_return sent;
    if (!handled && handled.error().code() == ErrorCode::kProtocol) co_return handled;
    if (pods_.snapshot_received()) backoff_.Reset();
  }
}

asio::awaitable<Result<net::Packet>> Client::Impl::Receive() {
  for (;;) {
    auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kWait);
    if (error) co_return Fail(ErrorCode::kCancelled, "waiting for the agent was cancelled");
    auto packet = net::ReceivePacket(socket_.native_handle(), kMaxPacketBytes);
    bool again = !packet && packet.error().code() == ErrorCode::kUnavailable;
    if (!again) co_return packet;
  }
}

asio::awaitable<Result<void>> Client::Impl::Send(Bytes bytes) {
  for (;;) {
    auto sent = net::SendPacket(socket_.native_handle(), bytes);
    bool again = !sent && sent.error().sys_errno() == EAGAIN;
    if (!again) co_return sent;
    auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_write, kWait);
    if (error) co_return Fail(ErrorCode::kCancelled, "waiting for the agent was cancelled");
  }
}

void Client::Impl::ArmRetry() {
  if (retry_armed_ || stopped_ || !pods_.has_pending()) return;
  retry_armed_ = true;
  retry_.expires_after(options_.retry_pending);
  retry_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (!error && self) self->RetryPending();
  });
}

void Client::Impl::RetryPending() {
  retry_armed_ = false;
  if (stopped_) return;
  for (const Error& error : pods_.RetryPending()) {
    log_.Warn(kScope, "pod still not started", {{"error", error.message()}});
  }
  ArmRetry();
}

void Client::Impl::Stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  pause_.cancel();
  retry_.cancel();
}

Client::Client(Options options, asio::io_context& control, PodSet& pods, observe::Log& log)
    : impl_(std::make_shared<Impl>(std::move(options), control, pods, log)) {
  asio::co_spawn(control, Impl::Run(impl_), asio::detached);
}

Client::~Client() { impl_->Stop(); }

}  // namespace ambit::zds
