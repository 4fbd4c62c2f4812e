#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "lib/net/packet.h"

// Purpose  HTTP/1.1 requests and responses as values, for the agent's socket and the admin pages.
// Threads  values.
namespace ambit::http1 {

struct Request {
  std::string method = "GET";
  std::string target = "/";                                 // path with query, as sent
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case
  std::string body;
  net::PeerCredentials peer;  // unix sockets only

  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // Value of `key` in the query, percent-decoded; empty if absent or without a value.
  std::string Query(std::string_view key) const;
  bool HasQuery(std::string_view key) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::map<std::string, std::string, std::less<>> headers;
};

struct Limits {
  size_t max_body_bytes = 1 << 20;
  size_t max_header_bytes = 8 << 10;
  std::chrono::milliseconds header_timeout{2000};
  std::chrono::milliseconds request_timeout{10000};
  int max_connections = 256;
};

}  // namespace ambit::http1
