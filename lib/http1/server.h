#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/error.h"
#include "lib/http1/message.h"
#include "lib/net/address.h"

// Purpose  HTTP/1.1 server on a unix socket or a TCP port: the agent's commands, the admin pages.
// Threads  everything runs on the io_context's single thread; Stop() is called there too.
// Errors   a bad request gets 4xx and changes nothing; a slow client is cut at its deadline.
namespace ambit::http1 {

// Runs once per request; it may take as long as Limits::request_timeout. Requests of different
// connections run at the same time.
using Handler = std::function<boost::asio::awaitable<Response>(Request)>;

class Server {
 public:
  // Mode 0600, a stale socket file is replaced, a live one is kAlreadyExists. Peers that are
  // neither root nor our own uid are refused (SO_PEERCRED).
  static Result<std::unique_ptr<Server>> ListenUnix(boost::asio::io_context& io,
                                                    const std::string& path, Limits limits,
                                                    Handler handler);
  static Result<std::unique_ptr<Server>> ListenTcp(boost::asio::io_context& io,
                                                   const net::Endpoint& endpoint, Limits limits,
                                                   Handler handler);
  // Stops accepting and cancels what is open.
  ~Server();

  // With the port the kernel chose, for TCP.
  net::Endpoint local_endpoint() const;
  // Stops accepting; requests that run are answered, then their connections close.
  void Stop();

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace ambit::http1
