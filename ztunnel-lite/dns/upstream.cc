#include "ztunnel-lite/dns/upstream.h"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "lib/net/netns.h"
#include "lib/net/socket.h"
#include "ztunnel-lite/dns/exchange.h"

namespace ambit::dns {
namespace {

namespace asio = boost::asio;
// Datagrams that are not the answer: somebody guesses, or the network repeats itself.
constexpr int kMaxStrangers = 64;

Result<Bytes> ReceiveDatagram(int fd) {
  std::array<std::byte, kMaxMessageBytes> buffer;
  const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
  if (got < 0) return FailErrno(errno, "receive");
  return Bytes(buffer.data(), buffer.data() + got);
}

}  // namespace

Upstream::Upstream(asio::io_context& io, Options options) : io_(io), options_(options) {}

Upstream::~Upstream() = default;

uint16_t Upstream::RandomId() {
  if (ids_left_ == 0) {
    // Cannot fail once the machine has started, for up to 256 bytes.
    (void)getrandom(ids_.data(), sizeof(ids_), 0);
    ids_left_ = ids_.size();
  }
  return ids_[--ids_left_];
}

void Upstream::Stop() {
  stopped_ = true;
  for (Exchange& exchange : running_) exchange.End(ErrorCode::kCancelled);
}

Result<UniqueFd> Upstream::Connect(int type, const net::Endpoint& server) const {
  auto inside = net::ScopedNetns::Enter(options_.pod_netns, options_.own_netns);
  if (!inside) return Fail(inside.error());
  const int domain = server.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FailErrno(errno, "create a socket in the pod");
  if (options_.mark != 0) {
    if (auto set = net::SetMark(fd.get(), options_.mark); !set) return Fail(set.error());
  }
  if (auto begun = net::StartConnect(fd.get(), server); !begun) return Fail(begun.error());
  return fd;
}

Result<std::shared_ptr<Upstream::Exchange>> Upstream::Begin(int type, const net::Endpoint& server) {
  if (stopped_) return Fail(ErrorCode::kCancelled, "stopped");
  if (outstanding_ >= options_.max_outstanding) {
    return Fail(ErrorCode::kResourceExhausted,
                "the pod has " + std::to_string(outstanding_) + " questions without an answer");
  }
  auto fd = Connect(type, server);
  if (!fd) return Fail(fd.error());
  auto exchange = std::make_shared<Exchange>(*this, server);
  if (auto opened = exchange->Open(std::move(*fd), options_.deadline); !opened) {
    return Fail(opened.error());
  }
  return exchange;
}

asio::awaitable<Result<Bytes>> Upstream::AskByUdp(Bytes question, net::Endpoint server) {
  auto query = ParseQuery(question);
  if (!query) co_return Fail(ErrorCode::kProtocol, "not a question");
  auto exchange = Begin(SOCK_DGRAM, server);
  if (!exchange) co_return Fail(exchange.error());
  const uint16_t own_id = RandomId();
  const uint16_t id = query->id();
  SetId(question, own_id);
  if (send((*exchange)->socket.native_handle(), question.data(), question.size(), MSG_NOSIGNAL) <
      0) {
    co_return FailErrno(errno, "ask the resolver " + server.ToString());
  }
  auto answer = co_await AwaitAnswer(*exchange, *query, own_id);
  if (answer) SetId(*answer, id);
  co_return answer;
}

asio::awaitable<Result<Bytes>> Upstream::AwaitAnswer(std::shared_ptr<Exchange> exchange,
                                                     const Query& query, uint16_t id) {
  for (int strangers = 0; strangers < kMaxStrangers; ++strangers) {
    auto ready = co_await exchange->Wait(asio::posix::stream_descriptor::wait_read);
    if (!ready) co_return Fail(ready.error());
    auto received = ReceiveDatagram(exchange->socket.native_handle());
    if (!received && received.error().sys_errno() == EAGAIN) continue;
    if (!received)
      co_return Fail(received.error().Wrap("the resolver " + exchange->server.ToString()));
    if (Answers(*received, query, id)) co_return std::move(*received);
  }
  co_return Fail(ErrorCode::kProtocol, "the resolver " + exchange->server.ToString() +
                                           " sends answers to other questions");
}

}  // namespace ambit::dns
