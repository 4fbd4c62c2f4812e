#include <sys/socket.h>

#include <cerrno>

#include "lib/net/socket.h"
#include "ztunnel-lite/dns/exchange.h"

namespace ambit::dns {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

// Two bytes of length in front. Source  RFC 1035 section 4.2.2.
Bytes Frame(const Bytes& message) {
  Bytes framed;
  framed.reserve(message.size() + 2);
  framed.push_back(std::byte(message.size() >> 8));
  framed.push_back(std::byte(message.size() & 0xff));
  framed.insert(framed.end(), message.begin(), message.end());
  return framed;
}

bool IsTransfer(const Query& query) {
  return query.opcode == 0 && (query.type == kTypeAxfr || query.type == kTypeIxfr);
}

// Of a transfer only the first message need have the question.
bool Continues(const Bytes& message, uint16_t id) {
  return message.size() >= kHeaderBytes && ReadId(message) == id;
}

}  // namespace

asio::awaitable<Result<void>> Upstream::AskByTcp(Bytes question, net::Endpoint server,
                                                 std::function<bool(Bytes)> take) {
  auto query = ParseQuery(question);
  if (!query) co_return Fail(ErrorCode::kProtocol, "not a question");
  auto exchange = Begin(SOCK_STREAM, server);
  if (!exchange) co_return Fail(exchange.error());
  const uint16_t own_id = RandomId();
  const uint16_t id = query->id();
  SetId(question, own_id);
  auto sent = co_await Send(*exchange, Frame(question));
  if (!sent) co_return sent;
  for (bool first = true;; first = false) {
    auto answer = co_await ReceiveFrame(*exchange);
    if (!answer && !first) co_return Result<void>();
    if (!answer) co_return Fail(answer.error());
    const bool ours = first ? Answers(*answer, *query, own_id) : Continues(*answer, own_id);
    if (!ours) {
      co_return Fail(ErrorCode::kProtocol,
                     "the resolver " + server.ToString() + " answers another question");
    }
    SetId(*answer, id);
    if (!take(std::move(*answer)) || !IsTransfer(*query)) co_return Result<void>();
    (*exchange)->ExtendDeadline(options_.deadline);
  }
}

asio::awaitable<Result<void>> Upstream::Send(std::shared_ptr<Exchange> exchange, Bytes framed) {
  auto connected = co_await exchange->Wait(Descriptor::wait_write);
  if (!connected) co_return connected;
  const int fd = exchange->socket.native_handle();
  const std::string context = "ask the resolver " + exchange->server.ToString() + " over TCP";
  if (auto outcome = net::SocketError(fd); !outcome) co_return Fail(outcome.error().Wrap(context));
  ByteSpan rest = framed;
  while (!rest.empty()) {
    const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      rest = rest.subspan(static_cast<size_t>(sent));
      continue;
    }
    if (errno != EAGAIN) co_return FailErrno(errno, context);
    auto writable = co_await exchange->Wait(Descriptor::wait_write);
    if (!writable) co_return writable;
  }
  co_return Result<void>();
}

asio::awaitable<Result<Bytes>> Upstream::ReceiveFrame(std::shared_ptr<Exchange> exchange) {
  Bytes length(2);
  auto received = co_await ReceiveInto(exchange, length);
  if (!received) co_return Fail(received.error());
  Bytes message(std::to_integer<size_t>(length[0]) << 8 | std::to_integer<size_t>(length[1]));
  received = co_await ReceiveInto(exchange, message);
  if (!received) co_return Fail(received.error());
  co_return message;
}

asio::awaitable<Result<void>> Upstream::ReceiveInto(std::shared_ptr<Exchange> exchange,
                                                    std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    const ssize_t got = recv(exchange->socket.native_handle(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      buffer = buffer.subspan(static_cast<size_t>(got));
      continue;
    }
    const std::string resolver = "the resolver " + exchange->server.ToString();
    if (got == 0) co_return Fail(ErrorCode::kUnavailable, resolver + " closed the connection");
    if (errno != EAGAIN) co_return FailErrno(errno, resolver);
    auto readable = co_await exchange->Wait(Descriptor::wait_read);
    if (!readable) co_return readable;
  }
  co_return Result<void>();
}

}  // namespace ambit::dns
