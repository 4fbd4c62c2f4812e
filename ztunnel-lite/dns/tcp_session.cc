#include "ztunnel-lite/dns/tcp_session.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "lib/net/socket.h"
#include "ztunnel-lite/dns/message.h"

namespace ambit::dns {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kLengthBytes = 2;
constexpr size_t kReadBytes = 4096;

size_t FrameLength(ByteSpan bytes) {
  return std::to_integer<size_t>(bytes[0]) << 8 | std::to_integer<size_t>(bytes[1]);
}
bool HasFrame(ByteSpan bytes) {
  return bytes.size() >= kLengthBytes && bytes.size() - kLengthBytes >= FrameLength(bytes);
}

}  // namespace

class TcpSession::TcpOrigin : public Origin {
 public:
  explicit TcpOrigin(std::shared_ptr<TcpSession> session) : session_(std::move(session)) {
    ++session_->under_way_;
  }
  TcpOrigin(const TcpOrigin&) = delete;
  TcpOrigin& operator=(const TcpOrigin&) = delete;
  ~TcpOrigin() override { session_->QuestionEnded(); }

  telemetry::DnsProtocol protocol() const override { return telemetry::DnsProtocol::kTcp; }
  bool Reply(Bytes message) override { return session_->Reply(message); }
  Result<net::Endpoint> Asked() override {
    if (!session_->socket_.is_open()) return Fail(ErrorCode::kCancelled, "the client is gone");
    const int fd = session_->socket_.native_handle();
    auto asked = net::OriginalDestination(fd);
    auto local = net::LocalEndpoint(fd);
    if (asked && local && *asked == *local) {
      return Fail(ErrorCode::kNotFound, "the connection was not redirected");
    }
    return asked;
  }

 private:
  const std::shared_ptr<TcpSession> session_;
};

TcpSession::TcpSession(asio::io_context& io, Options options, const Events& events)
    : options_(options), events_(events), socket_(io), idle_(io), room_(io) {}

Result<void> TcpSession::Open(UniqueFd accepted) {
  boost::system::error_code error;
  socket_.assign(accepted.get(), error);
  if (error) return FailErrno(error.value(), "watch a TCP connection");
  (void)accepted.Release();
  Touch();
  WatchIdle();
  return {};
}

asio::awaitable<void> TcpSession::Run() {
  auto self = shared_from_this();
  while (reading_ && socket_.is_open()) {
    TakeFrames();
    if (!MayTake()) {
      co_await WaitForRoom();
      continue;
    }
    // Answers that left have made room for what is at hand.
    if (HasFrame(input_)) continue;
    co_await socket_.async_wait(Descriptor::wait_read, kAwait);
    if (!reading_ || !socket_.is_open() || !Receive()) break;
  }
  reading_ = false;
  CloseIfDone();
}

bool TcpSession::Receive() {
  const size_t before = input_.size();
  input_.resize(before + kReadBytes);
  const ssize_t got = recv(socket_.native_handle(), input_.data() + before, kReadBytes, 0);
  const int error = errno;
  input_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got > 0) Touch();
  return got > 0 || (got < 0 && error == EAGAIN);
}

void TcpSession::TakeFrames() {
  size_t taken = 0;
  corked_ = true;
  while (MayTake() && HasFrame(ByteSpan(input_).subspan(taken))) {
    const ByteSpan rest = ByteSpan(input_).subspan(taken);
    const size_t length = FrameLength(rest);
    events_.take(rest.subspan(kLengthBytes, length),
                 std::make_unique<TcpOrigin>(shared_from_this()));
    taken += kLengthBytes + length;
  }
  corked_ = false;
  input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
  Flush();
}

asio::awaitable<void> TcpSession::WaitForRoom() {
  // Ended by whoever makes room, and by Close().
  room_.expires_at(std::chrono::steady_clock::time_point::max());
  co_await room_.async_wait(kAwait);
}

void TcpSession::QuestionEnded() {
  --under_way_;
  Touch();
  if (MayTake()) room_.cancel();
  CloseIfDone();
}

bool TcpSession::Reply(const Bytes& message) {
  if (!socket_.is_open()) return false;
  output_.push_back(std::byte(message.size() >> 8));
  output_.push_back(std::byte(message.size() & 0xff));
  output_.insert(output_.end(), message.begin(), message.end());
  if (!corked_) Flush();
  return unsent() < kMaxUnsentBytes;
}

void TcpSession::Flush() {
  while (socket_.is_open() && unsent() > 0) {
    const ssize_t sent =
        send(socket_.native_handle(), output_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (sent >= 0) {
      sent_ += static_cast<size_t>(sent);
      Touch();
      continue;
    }
    if (errno != EAGAIN) return Close();
    if (!std::exchange(sending_rest_, true)) events_.spawn(SendRest());
    return;
  }
  output_.clear();
  sent_ = 0;
}

asio::awaitable<void> TcpSession::SendRest() {
  auto self = shared_from_this();
  while (socket_.is_open() && unsent() > 0) {
    co_await socket_.async_wait(Descriptor::wait_write, kAwait);
    if (socket_.is_open()) Flush();
  }
  sending_rest_ = false;
  if (MayTake()) room_.cancel();
  CloseIfDone();
}

// One timer that is set anew only when it fires, not with each byte.
void TcpSession::WatchIdle() {
  idle_.expires_at(last_activity_ + options_.idle);
  idle_.async_wait([weak = weak_from_this()](const boost::system::error_code& stopped) {
    auto self = weak.lock();
    if (stopped || !self || !self->socket_.is_open()) return;
    // A question under way has a deadline of its own.
    if (self->under_way_ > 0 && self->unsent() == 0) self->Touch();
    const bool idle =
        std::chrono::steady_clock::now() - self->last_activity_ >= self->options_.idle;
    idle ? self->Close() : self->WatchIdle();
  });
}

void TcpSession::Finish() {
  reading_ = false;
  boost::system::error_code ignored;
  room_.cancel();
  if (socket_.is_open()) socket_.cancel(ignored);
  CloseIfDone();
}

void TcpSession::CloseIfDone() {
  if (!reading_ && under_way_ == 0 && unsent() == 0) Close();
}

void TcpSession::Close() {
  reading_ = false;
  boost::system::error_code ignored;
  socket_.close(ignored);
  idle_.cancel();
  room_.cancel();
}

}  // namespace ambit::dns
