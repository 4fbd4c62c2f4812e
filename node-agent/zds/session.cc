#include "node-agent/zds/session.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "lib/net/packet.h"

namespace ambit::zds {
namespace {

using boost::asio::posix::descriptor_base;

Result<Bytes> Encode(const Request& request) {
  switch (request.kind) {
    case Request::Kind::kAdd:
      return EncodeAdd(request.workload.uid, request.workload.identity);
    case Request::Kind::kKeep:
      return EncodeKeep(request.workload.uid);
    case Request::Kind::kDelete:
      return EncodeDelete(request.workload.uid);
    case Request::Kind::kSnapshotSent:
      break;
  }
  return EncodeSnapshotSent();
}

}  // namespace

Session::Session(boost::asio::io_context& io, UniqueFd socket, Roster& roster, Deadlines deadlines,
                 Hooks hooks)
    : socket_(io, socket.Release()),
      deadline_(io),
      roster_(roster),
      deadlines_(deadlines),
      hooks_(std::move(hooks)) {}

void Session::Start() {
  Arm(deadlines_.hello, "sent no hello");
  WaitReadable();
}

void Session::Arm(std::chrono::milliseconds timeout, const char* what) {
  deadline_.expires_after(timeout);
  deadline_.async_wait(
      [self = shared_from_this(), what, timeout](const boost::system::error_code& error) {
        if (error || self->phase_ == Phase::kEnded || self->phase_ == Phase::kIdle) return;
        // Re-armed while this call was already queued: the new deadline is still ahead.
        if (self->deadline_.expiry() > std::chrono::steady_clock::now()) return;
        self->End("the tunnel " + std::string(what) + " within " + std::to_string(timeout.count()) +
                  " ms");
      });
}

void Session::WaitReadable() {
  socket_.async_wait(descriptor_base::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error || self->phase_ == Phase::kEnded) return;
                       self->OnReadable();
                     });
}

void Session::OnReadable() {
  auto packet = net::ReceivePacket(socket_.native_handle(), kMaxMessageBytes);
  if (!packet) {
    if (packet.error().code() == ErrorCode::kUnavailable) return WaitReadable();
    return End(packet.error().message());
  }
  if (packet->bytes.empty()) return End("the tunnel closed the connection");
  if (packet->truncated) return End("the tunnel sent more than 1024 bytes in one packet");
  if (!packet->fds.empty()) return End("the tunnel sent a file descriptor, which ZDS never does");
  if (phase_ == Phase::kHello) {
    TakeHello(packet->bytes);
  } else if (phase_ == Phase::kWaitingForAck) {
    TakeAnswer(packet->bytes);
  } else {
    return End("the tunnel spoke although nothing was asked");
  }
  if (phase_ != Phase::kEnded) WaitReadable();
}

void Session::TakeHello(ByteSpan bytes) {
  if (auto hello = DecodeHello(bytes); !hello) return End(hello.error().message());
  phase_ = Phase::kIdle;
  deadline_.cancel();
  id_ = roster_.Connect();
  Pump();
}

void Session::TakeAnswer(ByteSpan bytes) {
  auto refusal = DecodeAck(bytes);
  if (!refusal) return End(refusal.error().message());
  phase_ = Phase::kIdle;
  deadline_.cancel();
  if (auto answered = roster_.Answered(id_, *refusal); !answered) {
    return End(answered.error().message());
  }
  hooks_.on_progress();
  if (phase_ == Phase::kIdle) Pump();
}

void Session::Pump() {
  if (phase_ != Phase::kIdle) return;
  auto request = roster_.Next(id_);
  if (!request) return;
  auto bytes = Encode(*request);
  if (!bytes) {
    // A pod that no tunnel can be told of is refused as if the tunnel had done it.
    (void)roster_.Answered(id_, bytes.error().message());
    hooks_.on_progress();
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->Pump(); });
    return;
  }
  outgoing_ = std::move(*bytes);
  outgoing_fd_ = request->kind == Request::Kind::kAdd ? request->workload.netns : nullptr;
  phase_ = Phase::kSending;
  Arm(deadlines_.message, "did not acknowledge a message");
  TrySend();
}

void Session::TrySend() {
  int fd = outgoing_fd_ == nullptr ? -1 : outgoing_fd_->get();
  auto sent = net::SendPacket(socket_.native_handle(), outgoing_, fd);
  if (sent) {
    outgoing_fd_.reset();
    phase_ = Phase::kWaitingForAck;
    return;
  }
  if (sent.error().code() != ErrorCode::kUnavailable) return End(sent.error().message());
  socket_.async_wait(descriptor_base::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (!error && self->phase_ == Phase::kSending) self->TrySend();
                     });
}

void Session::Close() {
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  deadline_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (id_ != 0) roster_.Disconnect(id_);
}

void Session::End(const std::string& reason) {
  if (phase_ == Phase::kEnded) return;
  auto self = shared_from_this();
  Close();
  hooks_.on_end(*this, reason);
}

}  // namespace ambit::zds
