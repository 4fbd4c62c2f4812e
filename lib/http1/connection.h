#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>

#include "lib/http1/message.h"
#include "lib/http1/server.h"

// Purpose  one accepted HTTP/1.1 connection of the server: read a request, run the handler, answer,
//          again until either side ends it. Internal to lib/http1.
// Threads  the io_context's thread.
namespace ambit::http1 {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  // `handler` and `limits` are shared with the server, which may go away first.
  Connection(Socket socket, net::PeerCredentials peer, const Limits& limits,
             std::shared_ptr<const Handler> handler);

  // Ends when the connection is closed; never throws but for lack of memory.
  boost::asio::awaitable<void> Serve();
  // Answers the request that runs, if any, then closes; an idle connection closes now.
  void Finish();
  // Closes now; a running handler is cancelled.
  void Abort();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  struct HandlerCall;

  boost::asio::awaitable<bool> ServeOne();
  boost::asio::awaitable<bool> AwaitRequest();
  boost::asio::awaitable<std::optional<Request>> ReadRequest();
  boost::asio::awaitable<void> Continue();
  boost::asio::awaitable<std::optional<Request>> Refuse(boost::system::error_code error);
  boost::asio::awaitable<Response> RunHandler(Request request);
  boost::asio::awaitable<bool> Write(Response response);
  boost::asio::awaitable<void> CloseAfterPeer();
  void Arm(std::chrono::milliseconds timeout);
  static boost::asio::awaitable<void> Invoke(std::shared_ptr<const Handler> handler,
                                             Request request, std::shared_ptr<HandlerCall> call);

  Socket socket_;
  net::PeerCredentials peer_;
  Limits limits_;
  std::shared_ptr<const Handler> handler_;
  boost::asio::steady_timer deadline_;
  bool expired_ = false;  // the deadline of the step that runs has passed
  bool busy_ = false;     // a request has begun to arrive and is not answered yet
  bool finishing_ = false;
  bool first_ = true;
  bool keep_alive_ = false;
  bool head_ = false;  // the request is HEAD: no body in the answer
  boost::beast::flat_buffer buffer_;
  std::weak_ptr<HandlerCall> running_;
};

}  // namespace ambit::http1
