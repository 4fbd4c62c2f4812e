#include "lib/http1/connection.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <cctype>

namespace ambit::http1 {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::awaitable;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// What a refused client may still send before its connection is cut, so that it can read why.
constexpr size_t kMaxDiscardedBytes = 8 << 20;

Request ToRequest(http::request<http::string_body>&& message, net::PeerCredentials peer) {
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    auto [entry, added] = request.headers.emplace(std::move(name), std::string(field.value()));
    if (!added) entry->second += ", " + std::string(field.value());
  }
  request.body = std::move(message.body());
  request.peer = peer;
  return request;
}

std::string Serialize(const Response& response, bool keep_alive, bool head) {
  auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(reason);
  text += "\r\n";
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\r\n";
  if (!response.content_type.empty()) text += "Content-Type: " + response.content_type + "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
  return head ? text : text + response.body;
}

Response Sentence(int status, std::string text) {
  Response response;
  response.status = status;
  response.body = std::move(text) + "\n";
  return response;
}

}  // namespace

// Outlives the connection when a handler does not end in time: its answer is then dropped.
struct Connection::HandlerCall {
  explicit HandlerCall(const asio::any_io_executor& executor) : done(executor) {}
  asio::steady_timer done;  // expires: too late; cancelled: answered
  asio::cancellation_signal cancel;
  std::optional<Response> response;
};

Connection::Connection(Socket socket, net::PeerCredentials peer, const Limits& limits,
                       std::shared_ptr<const Handler> handler)
    : socket_(std::move(socket)),
      peer_(peer),
      limits_(limits),
      handler_(std::move(handler)),
      deadline_(socket_.get_executor()),
      buffer_(limits.max_header_bytes + 65536) {}

awaitable<void> Connection::Serve() {
  while (co_await ServeOne()) {
  }
  deadline_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void Connection::Finish() {
  finishing_ = true;
  if (!busy_) Abort();
}

void Connection::Abort() {
  finishing_ = true;
  deadline_.cancel();
  error_code ignored;
  socket_.close(ignored);
  auto call = running_.lock();
  // A handler that has ended must not be cancelled: outside the loop's run() the cancellation is
  // queued, and nothing keeps what it points to until then.
  if (!call || call->response) return;
  call->cancel.emit(asio::cancellation_type::terminal);
  call->done.cancel();
}

// From here on the next step fails with operation_aborted when `timeout` has passed.
void Connection::Arm(std::chrono::milliseconds timeout) {
  expired_ = false;
  deadline_.expires_after(timeout);
  deadline_.async_wait([weak = weak_from_this()](error_code error) {
    auto self = weak.lock();
    // Re-armed meanwhile: this expiry was queued before and belongs to the step before.
    if (error || !self || self->deadline_.expiry() > std::chrono::steady_clock::now()) return;
    self->expired_ = true;
    self->socket_.cancel(error);
  });
}

// Returns whether the connection stays open for another request.
awaitable<bool> Connection::ServeOne() {
  busy_ = false;
  if (!co_await AwaitRequest()) co_return false;
  busy_ = true;
  std::optional<Request> request = co_await ReadRequest();
  if (!request) co_return false;
  Response response = co_await RunHandler(std::move(*request));
  if (!socket_.is_open()) co_return false;
  if (finishing_) keep_alive_ = false;
  bool written = co_await Write(std::move(response));
  co_return written&& keep_alive_ && !finishing_;
}

// The first request has to begin soon; between requests a client may pause longer.
awaitable<bool> Connection::AwaitRequest() {
  if (buffer_.size() > 0) co_return !finishing_;
  Arm(first_ ? limits_.header_timeout : limits_.request_timeout);
  first_ = false;
  auto [error] = co_await socket_.async_wait(Socket::wait_read, kTuple);
  co_return !error && !expired_ && !finishing_;
}

awaitable<std::optional<Request>> Connection::ReadRequest() {
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(limits_.max_header_bytes));
  parser.body_limit(limits_.max_body_bytes);
  Arm(limits_.header_timeout);
  auto [header_error, header_size] =
      co_await http::async_read_header(socket_, buffer_, parser, kTuple);
  if (header_error || expired_) co_return co_await Refuse(header_error);
  Arm(limits_.request_timeout);
  auto expect = parser.get()[http::field::expect];
  if (!parser.is_done() && boost::beast::iequals(expect, "100-continue")) co_await Continue();
  auto [body_error, body_size] = co_await http::async_read(socket_, buffer_, parser, kTuple);
  if (body_error || expired_) co_return co_await Refuse(body_error);
  keep_alive_ = parser.keep_alive();
  head_ = parser.get().method() == http::verb::head;
  co_return ToRequest(parser.release(), peer_);
}

awaitable<void> Connection::Continue() {
  static constexpr std::string_view kText = "HTTP/1.1 100 Continue\r\n\r\n";
  // An error here shows again at the read that follows.
  co_await asio::async_write(socket_, asio::buffer(kText), kTuple);
}

// Answers a request that could not be read, as far as the peer can still be answered.
awaitable<std::optional<Request>> Connection::Refuse(error_code error) {
  keep_alive_ = false;
  head_ = false;
  Response response;
  if (!socket_.is_open() || error == http::error::end_of_stream) co_return std::nullopt;
  if (expired_) {
    response = Sentence(408, "the request did not arrive in time");
  } else if (error == http::error::body_limit) {
    response = Sentence(
        413, "the body is larger than " + std::to_string(limits_.max_body_bytes) + " bytes");
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    response = Sentence(
        431, "the header is larger than " + std::to_string(limits_.max_header_bytes) + " bytes");
  } else if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    response = Sentence(400, "the request is not HTTP/1.1: " + error.message());
  } else {
    co_return std::nullopt;
  }
  if (co_await Write(std::move(response))) co_await CloseAfterPeer();
  co_return std::nullopt;
}

// In a coroutine of its own, so that a handler that does not end cannot hold the connection.
awaitable<void> Connection::Invoke(std::shared_ptr<const Handler> handler, Request request,
                                   std::shared_ptr<HandlerCall> call) {
  call->response = co_await (*handler)(std::move(request));
}

awaitable<Response> Connection::RunHandler(Request request) {
  deadline_.cancel();
  auto call = std::make_shared<HandlerCall>(socket_.get_executor());
  running_ = call;
  auto finished = [call](const std::exception_ptr& exception) {
    if (exception) call->response = Sentence(500, "the request failed inside the server");
    call->done.cancel();
  };
  call->done.expires_after(limits_.request_timeout);
  asio::co_spawn(socket_.get_executor(), Invoke(handler_, std::move(request), call),
                 asio::bind_cancellation_slot(call->cancel.slot(), finished));
  if (!call->response) co_await call->done.async_wait(kTuple);
  if (call->response) co_return std::move(*call->response);
  call->cancel.emit(asio::cancellation_type::terminal);
  keep_alive_ = false;
  co_return Sentence(503, "the request took longer than " +
                              std::to_string(limits_.request_timeout.count()) + " ms");
}

awaitable<bool> Connection::Write(Response response) {
  std::string text = Serialize(response, keep_alive_, head_);
  Arm(limits_.request_timeout);
  auto [error, size] = co_await asio::async_write(socket_, asio::buffer(text), kTuple);
  co_return !error && !expired_;
}

// Closing with unread bytes would reset the connection and take the answer away from the client.
awaitable<void> Connection::CloseAfterPeer() {
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  std::array<char, 16384> discarded;
  Arm(limits_.header_timeout);
  for (size_t total = 0; total < kMaxDiscardedBytes;) {
    auto [read_error, size] = co_await socket_.async_read_some(asio::buffer(discarded), kTuple);
    if (read_error || expired_) co_return;
    total += size;
  }
}

}  // namespace ambit::http1
