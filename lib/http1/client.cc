#include "lib/http1/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "lib/base/unique_fd.h"

namespace ambit::http1 {
namespace {

namespace http = boost::beast::http;
using SteadyTime = std::chrono::steady_clock::time_point;
using Parser = http::response_parser<http::string_body>;

// One exchange: its socket, its deadline and the words for its errors.
class Call {
 public:
  Call(const std::string& path, std::chrono::milliseconds timeout, int cancel_fd)
      : path_(path),
        timeout_(timeout),
        deadline_(std::chrono::steady_clock::now() + timeout),
        cancel_fd_(cancel_fd) {}

  Result<void> Connect();
  Result<void> Send(const std::string& text);
  Result<void> Receive(Parser& parser);

 private:
  std::chrono::milliseconds Left() const;
  std::unexpected<Error> FailTimeout(const char* step) const;
  std::unexpected<Error> FailAnswer(const std::string& what) const;
  Result<void> Wait(short events, const char* step);

  const std::string& path_;
  std::chrono::milliseconds timeout_;
  SteadyTime deadline_;
  int cancel_fd_;
  UniqueFd socket_;
};

std::chrono::milliseconds Call::Left() const {
  auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

std::unexpected<Error> Call::FailTimeout(const char* step) const {
  return Fail(ErrorCode::kTimedOut, std::string(step) + " " + path_ + ": no success within " +
                                        std::to_string(timeout_.count()) + " ms");
}

std::unexpected<Error> Call::FailAnswer(const std::string& what) const {
  return Fail(ErrorCode::kProtocol, "the answer from " + path_ + " is not usable: " + what);
}

// A blocking connect with a send timeout, because connecting to a unix socket whose queue is full
// cannot be waited for with poll().
Result<void> Call::Connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.empty() || path_.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalidArgument,
                "socket path \"" + path_ + "\" must have 1 to 107 characters");
  }
  std::memcpy(address.sun_path, path_.data(), path_.size());
  socket_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) return FailErrno(errno, "create a unix socket");
  auto left = std::max(Left(), std::chrono::milliseconds(1));
  timeval limit{.tv_sec = left.count() / 1000, .tv_usec = left.count() % 1000 * 1000};
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket_.get(), raw, sizeof(address)) == 0) return {};
  if (errno == EAGAIN || errno == EINTR) return FailTimeout("connect to");
  return FailErrno(errno, "connect to " + path_);
}

Result<void> Call::Wait(short events, const char* step) {
  // poll() ignores an entry whose descriptor is -1.
  std::array<pollfd, 2> entries{pollfd{.fd = socket_.get(), .events = events, .revents = 0},
                                pollfd{.fd = cancel_fd_, .events = POLLIN, .revents = 0}};
  while (true) {
    int ready = poll(entries.data(), entries.size(), static_cast<int>(Left().count()));
    if (ready > 0 && entries[0].revents == 0) {
      return Fail(ErrorCode::kCancelled, std::string(step) + " " + path_ + ": stopped on request");
    }
    if (ready > 0) return {};
    if (ready == 0) return FailTimeout(step);
    if (errno != EINTR) return FailErrno(errno, "poll " + path_);
    if (Left().count() == 0) return FailTimeout(step);
  }
}

Result<void> Call::Send(const std::string& text) {
  size_t sent = 0;
  while (sent < text.size()) {
    ssize_t size =
        ::send(socket_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      sent += static_cast<size_t>(size);
    } else if (errno == EAGAIN) {
      if (auto ready = Wait(POLLOUT, "send to"); !ready) return ready;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      // The server may have answered before it read everything ("413 too large"): read that.
      return {};
    } else if (errno != EINTR) {
      return FailErrno(errno, "send to " + path_);
    }
  }
  return {};
}

Result<void> Call::Receive(Parser& parser) {
  std::string pending;
  std::array<char, 16384> chunk;
  while (!parser.is_done()) {
    if (auto ready = Wait(POLLIN, "wait for the answer of"); !ready) return ready;
    ssize_t size = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size < 0 && errno != ECONNRESET) return FailErrno(errno, "receive from " + path_);
    boost::system::error_code error;
    if (size <= 0) {
      // Beast asserts that something came before the end.
      if (parser.got_some()) parser.put_eof(error);
      if (error || !parser.is_done()) return FailAnswer("the connection ended early");
      return {};
    }
    pending.append(chunk.data(), static_cast<size_t>(size));
    size_t used = parser.put(boost::asio::buffer(pending), error);
    if (error && error != http::error::need_more) return FailAnswer(error.message());
    pending.erase(0, used);
  }
  return {};
}

std::string Serialize(const Request& request) {
  std::string text = request.method + " " + request.target + " HTTP/1.1\r\n";
  if (!request.headers.contains("host")) text += "Host: unix\r\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\r\n";
  text +=
      "Connection: close\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n\r\n";
  return text + request.body;
}

Response ToResponse(Parser::value_type&& message) {
  Response response;
  response.status = static_cast<int>(message.result_int());
  response.content_type = std::string(message[http::field::content_type]);
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    response.headers.emplace(std::move(name), std::string(field.value()));
  }
  response.body = std::move(message.body());
  return response;
}

Result<Response> Exchange(Call& call, const Request& request, size_t max_body_bytes) {
  if (auto done = call.Connect(); !done) return Fail(std::move(done).error());
  if (auto done = call.Send(Serialize(request)); !done) return Fail(std::move(done).error());
  Parser parser;
  parser.eager(true);
  parser.body_limit(max_body_bytes);
  if (request.method == "HEAD") parser.skip(true);
  if (auto done = call.Receive(parser); !done) return Fail(std::move(done).error());
  return ToResponse(parser.release());
}

}  // namespace

Result<Response> CallUnix(const std::string& socket_path, const Request& request,
                          std::chrono::milliseconds timeout, size_t max_body_bytes, int cancel_fd) {
  Call call(socket_path, timeout, cancel_fd);
  try {
    return Exchange(call, request, max_body_bytes);
  } catch (const std::exception& exception) {  // Beast may throw std::bad_alloc or length_error
    return Fail(ErrorCode::kResourceExhausted,
                "call " + socket_path + ": " + std::string(exception.what()));
  }
}

}  // namespace ambit::http1
